import { ERRORS } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { FIELDS } from "../wire/field.ts";
import { FLAG_UNCHECKED, FLAG_ZSTD, type FrameName, frameRow, FRAMES } from "../wire/frames.ts";
import type { Layout } from "../wire/layout.ts";
import { DISSECTOR_LUA } from "./dissector_lua.ts";

type Plain = string | number | boolean | undefined | readonly Plain[] | { readonly [name: string]: Plain };

/**
 * A dissector of FSH/1 for Wireshark, made from the tables of frames, fields and errors.
 *
 * `port`: TCP port of which all connections are taken for FSH/1; others by their first bytes. `alpn`: its name in TLS.
 */
export function dissector({ port, alpn }: { readonly port: number; readonly alpn: string }): string {
  const frames = Object.keys(FRAMES).map((name) => frameText(name as FrameName));
  const errors = Object.entries(ERRORS).map(([name, { code }]) => `  [${code}] = ${lua(name)},`);
  return `-- FSH/1 for Wireshark and tshark, made by fsh ${VERSION} from its tables: fsh dissector > fsh.lua
-- tshark -X lua_script:fsh.lua -r FILE, or put it into Wireshark's folder for Lua plugins (Help, About, Folders).

local PREFACE, PORT, ALPN = "FSH/1\\r\\n", ${port}, ${lua(alpn)}

local ERRORS = {
  [0] = "none",
${errors.join("\n")}
}

local FRAMES = {
${frames.join("\n")}
}
${DISSECTOR_LUA}`;
}

function frameText(name: FrameName): string {
  const { code, max, on, fin, flags = 0, fields } = frameRow(name);
  const parts = fields && Object.entries(fields).map(([name, type]) => ({ name, layout: plain(FIELDS[type].layout) }));
  return `  [${code}] = ${
    lua({
      name,
      max,
      on,
      fin,
      unchecked: (flags & FLAG_UNCHECKED) !== 0,
      zstd: (flags & FLAG_ZSTD) !== 0,
      fields: parts ?? undefined,
    })
  },`;
}

/** A layout as Lua needs it: the parts of a record in order, names by number. */
function plain(layout: Layout): Plain {
  switch (layout.kind) {
    case "record": {
      const fields = Object.entries(layout.fields).map(([name, part]) => ({ name, layout: plain(part) }));
      return { kind: layout.kind, fields };
    }
    case "list":
      return { ...layout, item: plain(layout.item) };
    case "number": {
      const { names, ...rest } = layout;
      return { ...rest, names: typeof names === "object" ? Object.fromEntries(names.entries()) : names };
    }
    default:
      return { ...layout };
  }
}

/** A value as Lua writes it. */
function lua(value: Plain): string {
  if (typeof value === "string") {
    // Decimal escapes, of which Lua has three digits, for all but what is plain in every encoding.
    return `"${
      value.replace(/[^ !#-[\]-~]/g, (character) => `\\${String(character.charCodeAt(0)).padStart(3, "0")}`)
    }"`;
  }
  if (typeof value !== "object") return String(value ?? "nil");
  if (Array.isArray(value)) return `{ ${value.map(lua).join(", ")} }`;
  const parts = Object.entries(value).filter(([, part]) => part !== undefined);
  return `{ ${parts.map(([name, part]) => `${/^\d+$/.test(name) ? `[${name}]` : name} = ${lua(part)}`).join(", ")} }`;
}
