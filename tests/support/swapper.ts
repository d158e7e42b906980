// Exchanges FOLDER/a, a folder, with FOLDER/z, a symbolic link to TARGET, until standard input ends; then prints how often.
// Should somebody have removed or emptied one of them, it is made again.
const [folder = "", target = "", pause = "50"] = Deno.args;
const RENAME_EXCHANGE = 2; // linux/fs.h
const AT_FDCWD = -100; // fcntl.h
const SYMBOLS = {
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  usleep: { parameters: ["u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;
const { renameat2, usleep } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;

const encoder = new TextEncoder();
const [a, z] = [encoder.encode(`${folder}/a\0`), encoder.encode(`${folder}/z\0`)];

/** Has one of the names be a link and the other a folder with something in it. */
function repair(): void {
  try {
    const links = ["a", "z"].filter((name) => isLink(`${folder}/${name}`));
    if (links.length === 0) Deno.symlinkSync(target, `${folder}/z`);
  } catch {
    // The name is taken by a folder: then the other one will be the link.
    Deno.removeSync(`${folder}/z`, { recursive: true });
  }
  for (const name of ["a", "z"]) {
    if (isLink(`${folder}/${name}`)) continue;
    Deno.mkdirSync(`${folder}/${name}/deep`, { recursive: true });
    for (const file of ["inner", "deep/inner"]) Deno.writeTextFileSync(`${folder}/${name}/${file}`, "legitimate");
  }
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

let ended = false;
(async () => {
  while (await Deno.stdin.read(new Uint8Array(1)) !== null);
  ended = true;
})();
repair();
console.log("ready");
let swaps = 0;
const begun = performance.now();
while (!ended) {
  for (let i = 0; i < 50; i++) {
    if (renameat2(AT_FDCWD, a, AT_FDCWD, z, RENAME_EXCHANGE) === 0) swaps++;
    usleep(Number(pause));
  }
  // Others write there, too.
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      repair();
      break;
    } catch {
      // Once more, then later.
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
}
console.log(JSON.stringify({ swaps, seconds: (performance.now() - begun) / 1000 }));
