import { assertEquals, assertThrows } from "@std/assert";
import { toFshError } from "../../../lib/base/errors.ts";
import { type Args, parseSubcommand, type Subcommand } from "../../../lib/cli/args.ts";
import { BACKLOG_OPTION, SOCKET_OPTIONS, socketTuning } from "../../../lib/cli/socket_options.ts";
import { DEFAULT_TUNING } from "../../../lib/transport/tuning.ts";

const subcommand: Subcommand = {
  name: "any",
  usage: [],
  summary: "",
  details: "",
  options: [...SOCKET_OPTIONS, BACKLOG_OPTION],
  operands: { min: 0, max: 0 },
  run: () => Promise.resolve(0),
};

const parsed = (...argv: string[]): Args => parseSubcommand(subcommand, argv);
const tuning = (...argv: string[]) => socketTuning(parsed(...argv), () => {});

Deno.test("without options the tuning is the default one", () => {
  assertEquals(tuning(), DEFAULT_TUNING);
});

Deno.test("keepalive takes its parts in any order, and the rest as by default", () => {
  assertEquals(tuning("--keepalive", "count=5,idle=7").keepAlive, { idle: 7, interval: 10, count: 5 });
  assertEquals(tuning("--keepalive", "idle=30s").keepAlive, { idle: 30, interval: 10, count: 3 });
  assertEquals(tuning("--keepalive", "system").keepAlive, "system");
  assertEquals(tuning("--keepalive", "off").keepAlive, "off");
});

Deno.test("sizes, times and choices become what the sockets take", () => {
  const { sendBuffer, receiveBuffer } = tuning("--send-buffer", "1M", "--recv-buffer", "1024");
  assertEquals([sendBuffer, receiveBuffer], [1 << 20, 1024]);
  assertEquals([tuning("--linger", "0").linger, tuning("--linger", "2m").linger], [0, 120]);
  assertEquals(tuning("--user-timeout", "1500ms").userTimeout, 1500);
  assertEquals(tuning("--user-timeout", "off").userTimeout, null);
  assertEquals([tuning("--nodelay", "cork").noDelay, tuning("--backlog", "1").backlog], ["cork", 1]);
});

Deno.test("values that can't be are usage errors that name option and value", () => {
  const wrong = [
    [
      "--keepalive",
      "idle=0",
      "idle=60,idle=60",
      "interval=40000",
      "count=128",
      "60",
      "on",
      "idle=60,",
      "Idle=1",
      "idle=1.5",
    ],
    ["--send-buffer", "0", "1023", "1G", "much", "-1", "1e3"],
    ["--recv-buffer", "0", "1T", "1K2"],
    ["--nodelay", "yes", "ON"],
    ["--linger", "500ms", "2h", "soon", "-1"],
    ["--user-timeout", "99d", "x"],
    ["--backlog", "0", "many", "4294967296", "1.5"],
  ] as const;
  for (const [option, ...values] of wrong) {
    for (const value of values) {
      const { error, message } = toFshError(assertThrows(() => tuning(`${option}=${value}`)));
      assertEquals([error, message.startsWith(`${option} ${value}: wrong usage (it takes `)], ["USAGE", true], message);
    }
  }
});

Deno.test("what can't be had is said once for a command, however many connections it makes", () => {
  const args = parsed("--send-buffer", "1023M", "--recv-buffer", "1023M");
  const said: string[] = [];
  for (let i = 0; i < 3; i++) socketTuning(args, (sentence) => said.push(sentence));
  assertEquals(said.map((sentence) => sentence.split(" ")[0]), ["--send-buffer", "--recv-buffer"]);
});
