import { native } from "../../lib/native/load.ts";
import { type LocalOptions, LocalStorage } from "../../lib/storage/local.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import type { Storage } from "../../lib/storage/storage.ts";

// Loads the native library before the first test: it stays for the life of the process.
native();

/** A storage for one test, and where its files lie on this machine, if they do. */
export interface TestStorage<S extends Storage = Storage> extends AsyncDisposable {
  readonly storage: S;
  readonly folder: string;
}

export interface StorageKind {
  readonly name: string;
  readonly open: () => Promise<TestStorage>;
}

/** A local storage in a folder of its own, which lies in another one, so that a way out has somewhere to lead. */
export async function localStorage(options: LocalOptions = {}): Promise<TestStorage<LocalStorage>> {
  const outside = await Deno.makeTempDir({ prefix: "fsh-test-" });
  const folder = `${outside}/root`;
  await Deno.mkdir(folder);
  const storage = await LocalStorage.open(folder, { durability: "none", ...options });
  return {
    storage,
    folder,
    async [Symbol.asyncDispose]() {
      storage.close();
      await Deno.remove(outside, { recursive: true });
    },
  };
}

export const LOCAL_KINDS = [
  {
    name: `local (${native().descriptors ? "descriptors" : "checked paths"})`,
    open: (options: LocalOptions = {}) => localStorage(options),
  },
  {
    name: "local (checked paths)",
    open: (options: LocalOptions = {}) => localStorage({ ...options, portable: true }),
  },
] as const;

/** A test for every kind of local storage: what it does with a real folder. Not on Windows. */
export function localTest(behaviour: string, fn: (storage: LocalStorage, folder: string) => Promise<void>): void {
  for (const kind of LOCAL_KINDS) {
    Deno.test({
      name: `${kind.name}: ${behaviour}`,
      ignore: Deno.build.os === "windows",
      fn: async () => {
        await using opened = await kind.open();
        await fn(opened.storage, opened.folder);
      },
    });
  }
}

/** A test for every kind of storage. */
export function storageTest(behaviour: string, fn: (storage: Storage) => Promise<void>): void {
  for (const kind of STORAGE_KINDS) {
    Deno.test(`${kind.name}: ${behaviour}`, async () => {
      await using opened = await kind.open();
      await fn(opened.storage);
    });
  }
}

export const STORAGE_KINDS: readonly StorageKind[] = [
  ...LOCAL_KINDS,
  {
    name: "memory",
    open: () => Promise.resolve({ storage: new MemoryStorage(), folder: "", [Symbol.asyncDispose]: async () => {} }),
  },
];
