import { assertEquals } from "@std/assert";
import { formatJson, formatText, Log, type LogRecord, silentLog } from "../../../lib/base/log.ts";

const record: LogRecord = {
  time: new Date("2026-01-31T09:00:00Z"),
  level: "info",
  message: "session opened",
  fields: { path: "/a b", user: "an", count: 3, none: undefined },
};

Deno.test("a text line has time, level, message and fields, quoted where needed", () => {
  assertEquals(formatText(record), '2026-01-31T09:00:00.000Z info session opened path="/a b" user=an count=3');
});

Deno.test("a text line stays one line, whatever a stranger's name holds", () => {
  const line = formatText({ ...record, message: "x\ny", fields: { path: "/a\nlevel=error\x1b[2J", empty: "" } });
  assertEquals(line, '2026-01-31T09:00:00.000Z info x\\ny path="/a\\\\nlevel=error\\\\x1b[2J" empty=""');
});

Deno.test("a JSON line parses back to its facts", () => {
  assertEquals<unknown>(JSON.parse(formatJson(record)), {
    time: "2026-01-31T09:00:00.000Z",
    level: "info",
    event: "log",
    message: "session opened",
    path: "/a b",
    user: "an",
    count: 3,
  });
});

Deno.test("a log drops what is below its level and adds its fields", () => {
  const seen: LogRecord[] = [];
  const log = new Log("info", (record) => seen.push(record), { remote: "r" }).with({ session: "1" });
  log.error("e");
  log.warn("w");
  log.info("i", { session: "2" });
  log.debug("d");
  log.trace("t");
  assertEquals(seen.map((record) => record.level), ["error", "warn", "info"]);
  assertEquals<unknown>(seen[2]?.fields, { remote: "r", session: "2" });
  assertEquals([log.enabled("info"), log.enabled("debug"), silentLog.enabled("info")], [true, false, false]);
});
