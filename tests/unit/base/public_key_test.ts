import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { PrivateKey } from "../../../lib/base/private_key.ts";
import { parseAuthorizedKeys, PublicKey } from "../../../lib/base/public_key.ts";
import { hasProgram } from "../../support/program.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

/** Test 1 of RFC 8032, section 7.1. */
const RFC = {
  secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
  public: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b" +
    "d25bf5f0595bbe24655141438e7a100b",
};

const bytes = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** PKCS#8 of a seed (RFC 8410, section 7). */
function pem(seed: string): string {
  const der = bytes("302e020100300506032b657004220420" + seed);
  return `-----BEGIN PRIVATE KEY-----\n${btoa(String.fromCharCode(...der))}\n-----END PRIVATE KEY-----\n`;
}

Deno.test("a private key signs, and its public key verifies, as RFC 8032 has it", async () => {
  const key = await PrivateKey.parse(pem(RFC.secret));
  assertEquals([...key.publicKey.raw], [...bytes(RFC.public)]);
  assertEquals([...key.sign(new Uint8Array())], [...bytes(RFC.signature)]);
  assertEquals(key.publicKey.verifies(bytes(RFC.signature), new Uint8Array()), true);
  assertEquals(key.publicKey.verifies(bytes(RFC.signature), new Uint8Array(1)), false);
  assertEquals(key.publicKey.verifies(new Uint8Array(64), new Uint8Array()), false);
  assertEquals(key.publicKey.verifies(new Uint8Array(), new Uint8Array()), false);
  assertEquals(new PublicKey(new Uint8Array(32).fill(0xff)).verifies(bytes(RFC.signature), new Uint8Array()), false);
});

Deno.test("a key comes back from its file, and two keys are not the same", async () => {
  const key = PrivateKey.generate("me@here");
  const again = await PrivateKey.parse(key.pem);
  assertEquals(again.publicKey.text, key.publicKey.text);
  assertEquals(PublicKey.parse(key.publicKey.line).comment, "me@here");
  assertEquals(PublicKey.fromBlob(key.publicKey.blob).text, key.publicKey.text);
  assertNotEquals(PrivateKey.generate().publicKey.text, key.publicKey.text);
});

const openSsh = { ignore: !hasProgram("ssh-keygen") };

Deno.test("files of ssh-keygen are understood, and fingerprints are those that it shows", openSsh, async () => {
  const folder = await Deno.makeTempDir();
  try {
    await sshKeygen(["-t", "ed25519", "-N", "", "-C", "two words", "-f", `${folder}/id`]);
    await sshKeygen(["-t", "ed25519", "-N", "passphrase", "-f", `${folder}/locked`]);
    await sshKeygen(["-t", "ecdsa", "-N", "", "-f", `${folder}/ecdsa`]);
    const read = (name: string) => Deno.readTextFile(`${folder}/${name}`);
    const key = await PrivateKey.parse(await read("id"));
    const open = PublicKey.parse(await read("id.pub"));
    assertEquals(key.publicKey.text, open.text);
    assertEquals(open.comment, "two words");
    assertEquals(open.verifies(key.sign(bytes("0102")), bytes("0102")), true);
    assertEquals((await sshKeygen(["-l", "-f", `${folder}/id.pub`])).split(" ")[1], open.fingerprint);
    assertMatch((await assertFails(async () => PrivateKey.parse(await read("locked")), "USAGE")).message, /passphrase/);
    assertMatch((await assertFails(async () => PrivateKey.parse(await read("ecdsa")), "USAGE")).message, /ecdsa/);
    assertMatch((await assertFails(async () => PrivateKey.parse(await read("id.pub")), "USAGE")).message, /public key/);
    const cut = (await read("id")).replace(/[^\n]+\n(-----END)/, "$1");
    await assertFails(() => PrivateKey.parse(cut), "USAGE");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what is no private key is refused without being repeated", async () => {
  for (const text of ["", "secret", pem("00"), pem(RFC.secret).replace("MC4C", "MC4D")]) {
    const error = await assertFails(() => PrivateKey.parse(text), "USAGE");
    assertEquals(/secret|MC4/.test(error.message), false);
  }
});

Deno.test("public keys of other types, cut, or with more behind them are refused", () => {
  const { line, text, blob } = PrivateKey.generate().publicKey;
  assertEquals(PublicKey.parse(`  ${line}  a  comment \n`).comment, "a  comment");
  const wrong = ["", "ssh-ed25519", `ssh-rsa ${text.split(" ")[1]}`, text.slice(0, -4), text + "AAAA", `x ${text}`];
  for (const one of wrong) assertThrowsError(() => PublicKey.parse(one), "BAD_FIELD");
  assertThrowsError(() => PublicKey.fromBlob(new Uint8Array()), "BAD_FIELD");
  assertThrowsError(() => PublicKey.fromBlob(blob.subarray(1)), "BAD_FIELD");
  assertThrowsError(() => PublicKey.fromBlob(blob.with(3, 12)), "BAD_FIELD");
});

Deno.test("an authorized-keys file: comments, blank lines, other types and broken lines let nobody in", () => {
  const [a, b, c] = [PrivateKey.generate("a"), PrivateKey.generate("b"), PrivateKey.generate()].map((key) =>
    key.publicKey
  );
  const text = [
    "# people",
    "",
    a?.line,
    `\t${b?.line}\r`,
    `#${c?.line}`,
    "ssh-rsa AAAAB3NzaC1yc2E= old",
    `command="false" ${c?.line}`,
    c?.line.slice(0, 40),
    "ssh-ed25519x " + c?.line.split(" ")[1],
  ].join("\n");
  assertEquals(parseAuthorizedKeys(text).map((key) => key.line), [a?.line ?? "", b?.line ?? ""]);
  assertEquals(parseAuthorizedKeys(""), []);
});

async function sshKeygen(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("ssh-keygen", {
    args: args[0] === "-l" ? [...args] : ["-q", ...args],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
