import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Certificate } from "../../../lib/base/certificate.ts";
import { KnownHosts, parseKnownHosts } from "../../../lib/cli/known_hosts.ts";
import { selfSigned } from "../../support/certificates.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

const one = Certificate.fromPem((await selfSigned({ names: ["one.example"] })).cert);
const two = Certificate.fromPem((await selfSigned({ names: ["two.example"] })).cert);
const lineOf = (host: string, port: number, certificate: Certificate) =>
  `${host} ${port} ${certificate.fingerprint} ${certificate.der.toBase64()}`;

/** A configuration folder for the time of a test. */
async function withFolder(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-test-" });
  const before = Deno.env.get("XDG_CONFIG_HOME");
  Deno.env.set("XDG_CONFIG_HOME", folder);
  try {
    await work(`${folder}/fsh/known_hosts`);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CONFIG_HOME");
    else Deno.env.set("XDG_CONFIG_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("what is remembered is found again, by host and port, whatever the case of the name", () =>
  withFolder(async (file) => {
    const hosts = new KnownHosts();
    const server = { hostname: "Files.Example", port: 7374 };
    assertEquals(await hosts.find(server), { known: null, revoked: new Set<string>() });
    await hosts.remember(server, one);
    assertEquals((await hosts.find({ hostname: "files.EXAMPLE", port: 7374 })).known?.fingerprint, one.fingerprint);
    assertEquals((await hosts.find({ hostname: "files.example", port: 7375 })).known, null);
    assertEquals((await hosts.find({ hostname: "example", port: 7374 })).known, null);
    assertEquals(await Deno.readTextFile(file), lineOf("files.example", 7374, one) + "\n");
    assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
    await hosts.remember(server, one);
    assertEquals((await Deno.readTextFile(file)).split("\n").length, 2, "not twice");
    const error = await assertFails(() => hosts.remember(server, two), "CERTIFICATE_CHANGED");
    assertStringIncludes(error.message, one.fingerprint);
    assertStringIncludes(error.message, two.fingerprint);
  }));

Deno.test("fifty at once lose nothing, and leave comments and a line without end as they are", () =>
  withFolder(async (file) => {
    await new KnownHosts().remember({ hostname: "first", port: 1 }, one);
    await Deno.writeTextFile(file, "# mine\n\n" + lineOf("::1", 7374, two));
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => new KnownHosts().remember({ hostname: `h${i}`, port: 1 }, one)),
    );
    const text = await Deno.readTextFile(file);
    assertEquals(text.startsWith("# mine\n\n" + lineOf("::1", 7374, two) + "\n"), true);
    assertEquals(parseKnownHosts(text, file).filter((line) => line !== null).length, 51);
    assertEquals((await new KnownHosts().find({ hostname: "::1", port: 7374 })).known?.fingerprint, two.fingerprint);
  }));

Deno.test("forgetting takes the lines of a host, at one port or at all, and no revoked ones", () =>
  withFolder(async (file) => {
    const hosts = new KnownHosts();
    assertEquals(await hosts.forget({ hostname: "a", port: null }), 0);
    for (const port of [1, 2, 3]) await hosts.remember({ hostname: "a", port }, one);
    await hosts.remember({ hostname: "b", port: 1 }, one);
    await Deno.writeTextFile(file, `@revoked a 1 ${two.fingerprint}\n# a 1\n`, { append: true });
    assertEquals(await hosts.forget({ hostname: "A", port: 2 }), 1);
    assertEquals(await hosts.forget({ hostname: "a", port: null }), 2);
    assertEquals(await hosts.forget({ hostname: "a", port: null }), 0);
    assertEquals(
      await Deno.readTextFile(file),
      lineOf("b", 1, one) + `\n@revoked a 1 ${two.fingerprint}\n# a 1\n`,
    );
  }));

Deno.test("revoked ones are found by host, port, or stars", () =>
  withFolder(async (file) => {
    const hosts = new KnownHosts();
    await hosts.remember({ hostname: "a", port: 1 }, one);
    await Deno.writeTextFile(
      file,
      `@revoked a 1 ${one.fingerprint}\n@revoked * * ${two.fingerprint} ${two.der.toBase64()}\n`,
    );
    assertEquals([...(await hosts.find({ hostname: "a", port: 1 })).revoked], [one.fingerprint, two.fingerprint]);
    assertEquals([...(await hosts.find({ hostname: "a", port: 2 })).revoked], [two.fingerprint]);
  }));

Deno.test("a line that can't be read is an error that names file and line", () => {
  const good = lineOf("a", 1, one);
  const [, , fingerprint = "", base64 = ""] = good.split(" ");
  const bad = [
    "a",
    `a 1 ${fingerprint}`,
    `a 1 ${fingerprint} ${base64} more`,
    `a 0 ${fingerprint} ${base64}`,
    `a 65536 ${fingerprint} ${base64}`,
    `a * ${fingerprint} ${base64}`,
    `* 1 ${fingerprint} ${base64}`,
    `a 1 SHA256:x ${base64}`,
    `a 1 ${fingerprint} rubbish`,
    `a 1 ${two.fingerprint} ${base64}`,
    `a 1 ${fingerprint} ${base64.slice(0, 100)}`,
    `@revoked a 1`,
    `@revoked a x ${fingerprint}`,
    `@cert a 1 ${fingerprint} ${base64}`,
  ];
  for (const line of bad) {
    const error = assertThrowsError(() => parseKnownHosts(`# mine\n${good}\n${line}\n`, "/known"), "USAGE");
    assertMatch(error.message, /^\/known, line 3: /, line);
  }
  assertEquals(parseKnownHosts(`${good}\r\n\t${good} \n`, "/known").length, 3);
});
