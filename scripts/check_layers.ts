// Checks that imports go downward only, from `deno info --json`. Exit status 1 and a line per breach if not.
import { dirname, fromFileUrl, relative } from "@std/path";

const project = dirname(dirname(fromFileUrl(import.meta.url)));

/** Whom each layer may import, itself aside. `file` narrows it to single files of a layer. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  "lib/base": [],
  "lib/wire": ["lib/base"],
  "lib/native": ["lib/base"],
  "lib/transport": ["lib/base", "lib/native"],
  "lib/storage": ["lib/base", "lib/native"],
  "lib/hooks": ["lib/base"],
  "lib/discovery": ["lib/base"],
  "lib/session": [
    "lib/base",
    "lib/wire",
    "lib/hooks",
    "lib/transport/transport.ts",
    "lib/storage/storage.ts",
  ],
  "lib/trace": ["lib/base", "lib/wire", "lib/transport/transport.ts"],
  "lib/commands": [
    "lib/base",
    "lib/wire",
    "lib/session/command.ts",
    "lib/storage/storage.ts",
    "lib/storage/walk.ts",
  ],
  "lib/server": ["lib/base", "lib/wire", "lib/transport", "lib/storage", "lib/hooks", "lib/session", "lib/commands"],
  "lib/client": ["lib/base", "lib/wire", "lib/transport", "lib/storage", "lib/session", "lib/commands"],
  "lib/cli": ["lib", "plugins/shipped.ts"],
  "lib/mod.ts": ["lib"],
  "lib/plugin.ts": ["lib/base", "lib/hooks"],
  "plugins": ["lib/plugin.ts"],
  "main.ts": ["lib/cli/main.ts", "lib/cli/sandbox.ts"],
};
/** Files outside the layers that a file may import. */
const EXCEPTIONS: Readonly<Record<string, string>> = { "lib/base/version.ts": "deno.json" };

interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { specifier?: string };
      readonly type?: { specifier?: string };
    }[];
  }[];
}

const breaches: string[] = [];
let edges = 0;
const seen = new Set<string>();
for (const root of await sources()) {
  if (seen.has(root)) continue;
  for (const module of (await info(root)).modules) {
    const from = local(module.specifier);
    if (from === null || seen.has(from)) continue;
    seen.add(from);
    for (const dependency of module.dependencies ?? []) {
      const to = local(dependency.code?.specifier ?? dependency.type?.specifier ?? "");
      if (to === null) continue;
      edges++;
      const breach = judge(from, to);
      if (breach) breaches.push(breach);
    }
  }
}
for (const breach of breaches) console.error(breach);
if (seen.size < 20) breaches.push("the check saw hardly any file");
console.log(`layers: ${seen.size} files, ${edges} imports, ${breaches.length} breaches`);
Deno.exit(breaches.length > 0 ? 1 : 0);

function judge(from: string, to: string): string | null {
  if (EXCEPTIONS[from] === to) return null;
  const layer = layerOf(from);
  if (layer === null) return `${from} belongs to no layer`;
  const allowed = [layer, ...LAYERS[layer] ?? []];
  return allowed.some((one) => to === one || to.startsWith(one + "/")) ? null : `${from} must not import ${to}`;
}

function layerOf(file: string): string | null {
  return Object.keys(LAYERS).find((layer) => file === layer || file.startsWith(layer + "/")) ?? null;
}

/** Path within the project, or null. */
function local(specifier: string): string | null {
  if (!specifier.startsWith("file:")) return null;
  const path = relative(project, fromFileUrl(specifier)).replaceAll("\\", "/");
  return path.startsWith("..") ? null : path;
}

/** Every source file, main.ts first: one that nobody imports yet is checked, too. */
async function sources(): Promise<string[]> {
  const found = ["main.ts"];
  const visit = async (folder: string) => {
    for await (const entry of Deno.readDir(`${project}/${folder}`)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) await visit(path);
      else if (path.endsWith(".ts") && !path.endsWith(".d.ts")) found.push(path);
    }
  };
  await visit("lib");
  await visit("plugins");
  return found;
}

async function info(file: string): Promise<Info> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: project,
  }).output();
  if (!success) {
    console.error(new TextDecoder().decode(stderr));
    Deno.exit(1);
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}
