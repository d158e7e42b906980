import { assertEquals } from "@std/assert";
import { formatJson, formatText, Log, type LogRecord } from "../../../lib/base/log.ts";
import { InProcessHost } from "../../../lib/hooks/in_process.ts";
import { HookRunner } from "../../../lib/hooks/runner.ts";
import { hookedLog } from "../../../lib/server/hooked_log.ts";

Deno.test("plugins hear of all records but those about plugins, and the log has both", async () => {
  const records: LogRecord[] = [];
  const seen: string[] = [];
  const log = new Log("info", (record) => records.push(record));
  const plugin = { name: "p", hooks: { log: (event: { message: string }) => void seen.push(event.message) } };
  const runner = new HookRunner([await InProcessHost.start(plugin, { log })], log);
  const hooked = hookedLog(log, runner).with({ a: 1 });
  hooked.info("said");
  hooked.with({ unhooked: true }).error("about a plugin");
  hooked.debug("too quiet");
  await runner.stop();
  assertEquals(seen, ["said"]);
  assertEquals(records.map(({ message, fields }) => [message, fields.a]), [["said", 1], ["about a plugin", 1]]);
});

Deno.test("that plugins do not hear of a record is not printed", () => {
  const record: LogRecord = { time: new Date(0), level: "info", message: "m", fields: { unhooked: true, a: 1 } };
  assertEquals(formatText(record), "1970-01-01T00:00:00.000Z info m a=1");
  assertEquals(JSON.parse(formatJson(record)), {
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    event: "log",
    message: "m",
    a: 1,
  });
});
