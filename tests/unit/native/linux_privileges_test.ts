import { assertEquals } from "@std/assert";
import { stillThere } from "../../../lib/native/linux_privileges.ts";
import { native } from "../../../lib/native/load.ts";

const ACCOUNT = { uid: 65534, gid: 100, groups: [100, 33] };

/** A thread's status as proc_pid_status(5) shows it. */
function status(changes: Readonly<Record<string, string>> = {}): string {
  const fields = {
    Name: "fsh",
    Uid: "65534\t65534\t65534\t65534",
    Gid: "100\t100\t100\t100",
    Groups: "33 100 ",
    CapInh: "0000000000000000",
    CapPrm: "0000000000000000",
    CapEff: "0000000000000000",
    ...changes,
  };
  return Object.entries(fields).map(([name, value]) => `${name}:\t${value}\n`).join("");
}

Deno.test("a thread that has changed in all it is has nothing left", () => {
  assertEquals(stillThere(status(), ACCOUNT), null);
  assertEquals(stillThere(status({ Groups: " " }), ACCOUNT), null);
});

Deno.test("each thing that a thread may have kept is found", () => {
  const kept: Readonly<Record<string, string>> = {
    Uid: "65534\t65534\t0\t65534",
    Gid: "100\t0\t100\t100",
    Groups: "0 33 100 ",
    CapPrm: "0000000000000400",
    CapEff: "000001ffffffffff",
  };
  for (const [name, value] of Object.entries(kept)) {
    const found = stillThere(status({ [name]: value }), ACCOUNT);
    assertEquals(found?.startsWith(`${name} `), true, `${name}: ${found}`);
  }
});

Deno.test("a status without the fields proves nothing", () => {
  assertEquals(stillThere("", ACCOUNT), "Uid ");
  assertEquals(stillThere(status().replace(/^CapEff.*\n/m, ""), ACCOUNT), "CapEff unknown");
});

const { privileges } = native();
// Opens the library, which stays open, outside of a test.
privileges?.may("/", "read");

Deno.test({ name: "users and groups are found by name and by number", ignore: privileges === null }, () => {
  const root = { name: "root", uid: 0, gid: 0 };
  for (const name of ["root", "0"]) {
    const found = privileges?.find(name, null);
    assertEquals(typeof found === "object" && { name: found.name, uid: found.uid, gid: found.gid }, root);
  }
  assertEquals(privileges?.find("54321", "54322"), { name: "54321", uid: 54321, gid: 54322, groups: [54322] });
  assertEquals(privileges?.find("54321", null), "no group");
  assertEquals(privileges?.find("root", "nosuchgroup"), "no such group");
  for (const name of ["nosuchuser", "-1", "4294967295", "99999999999", "ro ot", "é", "x".repeat(10_000)]) {
    assertEquals(privileges?.find(name, "0"), "no such user", name.slice(0, 20));
  }
});
