import { native } from "../native/load.ts";
import { CheckedJail } from "./checked_jail.ts";
import { DescriptorJail } from "./descriptor_jail.ts";
import type { Jail, JailOptions } from "./jail.ts";

/** By descriptors where the kernel has openat2, else or with `portable` by checked paths. The root must be a folder. */
export async function openJail(
  root: string,
  options: JailOptions & { readonly portable?: boolean } = {},
): Promise<Jail> {
  const real = await Deno.realPath(root);
  const descriptors = options.portable ? null : native().descriptors;
  return descriptors === null ? new CheckedJail(real, options) : new DescriptorJail(real, descriptors, options);
}
