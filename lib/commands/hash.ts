import { createDigest, type DigestAlgorithm } from "../base/digest.ts";
import { FshError } from "../base/errors.ts";
import { command, type RequestOpener } from "../session/command.ts";
import { expect } from "./exchange.ts";
import { readInto } from "./source.ts";
import { digestText, type Sum } from "./sum.ts";

export const hashCommand = command({
  request: "HASH",
  writes: false,
  async serve(stream, { path, offset, length, algorithm }, { storage, guard, report, work }) {
    const digest = createDigest(algorithm);
    const file = (await guard.admit(path)).real;
    const { signal, memory } = stream;
    const { size, info } = await work.fewAtOnce(async () => {
      const reader = await storage.openRead(file, { offset, length });
      try {
        return { info: reader.info, size: await readInto(digest, reader, { signal, memory, work }) };
      } finally {
        reader.close();
      }
    });
    if (size !== Math.min(length ?? Infinity, info.size - offset)) {
      throw new FshError("SOURCE_CHANGED", { subject: path, detail: "it became shorter" });
    }
    const sum = { algorithm: digest.algorithm, digest: digest.finish(), size };
    report.bytes = size;
    // Of a part it is nobody's.
    if (offset === 0 && size === info.size) report.digest = digestText(sum);
    await stream.send("DIGEST", sum, { fin: true });
  },
});

/** The digest of a file, or of a part of it, as the server reads it. */
export async function hash(
  session: RequestOpener,
  path: string,
  options: { offset?: number; length?: number | null; algorithm?: DigestAlgorithm } = {},
): Promise<Sum> {
  const { offset = 0, length = null, algorithm = "sha256" } = options;
  const sum = (await expect(session.open("HASH", { path, offset, length, algorithm }), "DIGEST")).fields;
  if (sum.algorithm === algorithm && sum.digest.length === createDigest(algorithm).finish().length) return sum;
  throw new FshError("UNEXPECTED_FRAME", { subject: path, detail: `no digest of ${algorithm}` });
}
