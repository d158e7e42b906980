import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, fromFileUrl } from "@std/path";
import { FshError } from "../../../lib/base/errors.ts";
import { parseSubcommand } from "../../../lib/cli/args.ts";
import { LIMIT_OPTIONS, maxSessions, maxStreams, serverBounds } from "../../../lib/cli/limit_options.ts";
import { serveCommand } from "../../../lib/cli/serve.ts";
import { native } from "../../../lib/native/load.ts";
import { LIMIT_NAMES, limitOf, type LimitRow, LIMITS } from "../../../lib/server/limits.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

const rows = LIMIT_NAMES.map((name): LimitRow => LIMITS[name]);
const parse = (...argv: string[]) => parseSubcommand(serveCommand, argv);

Deno.test("every limit has an option of its own on serve, with the table's default", () => {
  assertEquals(new Set(rows.map(({ option }) => option)).size, rows.length);
  for (const { option, default: fallback, shared } of rows) {
    const found = serveCommand.options.filter(({ name }) => name === option);
    assertEquals(found.map((row) => row.default), [fallback], option);
    assertEquals(LIMIT_OPTIONS.some(({ name }) => name === option), !shared);
  }
});

Deno.test("every limit has an error of its own, by which it is counted; those of the peer are not", () => {
  const errors = rows.flatMap(({ error }) => error ?? []);
  assertEquals(new Set(errors).size, errors.length);
  for (const name of LIMIT_NAMES) {
    const { error }: LimitRow = LIMITS[name];
    if (error === null) continue;
    assertEquals(limitOf(new FshError(error)), name);
    assertEquals(limitOf(new FshError(error, { remote: true })), undefined);
  }
  assertEquals(limitOf(new FshError("NOT_FOUND")), undefined);
});

Deno.test("the defaults are what the table says", () => {
  const { files, ...rest } = serverBounds(parse());
  assertEquals(rest, {
    perAddress: { most: 1000, local: false },
    perUser: 1000,
    startups: { start: 1000, rate: 30, full: 4000 },
    request: 1024,
    listing: 10_000_000,
    put: Infinity,
    keepFree: 0,
    minRate: 10,
    logLines: { most: 120, local: false },
  });
  const most = native().process?.mostDescriptors;
  assertEquals(files, most ? Math.min(8192, most >> 2) : 256);
  assertEquals([maxSessions(parse()), maxStreams(parse())], [10_000, 512]);
});

Deno.test("off switches each limit off that may be, and those by address count this machine only when given", () => {
  const off = rows.filter((row) => !row.always && !row.shared).flatMap(({ option }) => [`--${option}`, "off"]);
  assertEquals(serverBounds(parse(...off)), {
    perAddress: { most: Infinity, local: true },
    perUser: Infinity,
    startups: null,
    files: Infinity,
    request: Infinity,
    listing: Infinity,
    put: Infinity,
    keepFree: 0,
    minRate: 0,
    logLines: { most: Infinity, local: true },
  });
  for (const row of rows.filter(({ always }) => always)) {
    assertThrowsError(() => [maxSessions, maxStreams].map((take) => take(parse(`--${row.option}`, "off"))), "USAGE");
  }
  assertEquals(serverBounds(parse("--max-per-address", "5")).perAddress, { most: 5, local: true });
  const sizes = serverBounds(parse("--max-put", "10M", "--keep-free", "1G", "--min-rate", "2K"));
  assertEquals([sizes.put, sizes.keepFree, sizes.minRate], [10 * 1024 ** 2, 1024 ** 3, 2048]);
});

Deno.test("values that make no sense are USAGE and name the option", () => {
  for (
    const [option, ...values] of [
      ["max-per-address", "0", "-1", "x", "1.5", "auto"],
      ["max-per-user", "0", "many"],
      ["max-startups", "10", "10:30", "0:30:100", "10:0:100", "10:101:100", "100:30:10", "a:b:c", "10:30:100:5"],
      ["max-open-files", "0", "some"],
      ["max-request", "255", "x"],
      ["max-listing", "0"],
      ["max-put", "x", "10Q"],
      ["keep-free", "all"],
      ["min-rate", "fast"],
      ["max-log-lines", "0"],
    ] as const
  ) {
    for (const value of values) {
      const error = assertThrowsError(() => serverBounds(parse(`--${option}=${value}`)), "USAGE");
      assertMatch(error.message, new RegExp(`--${option} `));
    }
  }
});

Deno.test("README.md has the table of limits as it is", async () => {
  const root = dirname(dirname(dirname(dirname(fromFileUrl(import.meta.url)))));
  const readme = (await Deno.readTextFile(`${root}/README.md`)).split("\n").map((line) => line.replace(/ +/g, " "));
  for (const { option, default: fallback, error, help } of rows) {
    const line = `| \`--${option}\` | ${fallback} | ${help} | ${error ?? ""} |`.replace(/ +/g, " ");
    assert(readme.includes(line), `README.md lacks: ${line}`);
  }
});
