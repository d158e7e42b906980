import { encodeUtf8 } from "../../lib/base/bytes.ts";

/** A receiver of webhooks that takes, refuses or hangs as told. */
export class WebhookReceiver implements AsyncDisposable {
  readonly taken: { id: string; body: string; signature: string }[] = [];
  readonly asked: string[] = [];
  answer: (attempt: number) => Response | Promise<Response> = () => new Response(null, { status: 204 });
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #attempts = new Map<string, number>();

  constructor(port = 0) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, async (request) => {
      const id = request.headers.get("x-fsh-delivery") ?? "";
      const message = { id, body: await request.text(), signature: request.headers.get("x-fsh-signature") ?? "" };
      this.asked.push(id);
      const attempt = (this.#attempts.get(id) ?? 0) + 1;
      this.#attempts.set(id, attempt);
      const response = await this.answer(attempt);
      if (response.ok) this.taken.push(message);
      return response;
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

export const SECRET = "sixteen characters and more";

/** Checks a signature as a receiver would, by WebCrypto. */
export async function isSigned(body: string, signature: string, secret = SECRET): Promise<boolean> {
  const [, seconds, hex = ""] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
  const key = await crypto.subtle.importKey("raw", encodeUtf8(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    "verify",
  ]);
  const mac = Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const fresh = Math.abs(Date.now() / 1000 - Number(seconds)) < 60;
  return fresh && await crypto.subtle.verify("HMAC", key, mac, encodeUtf8(`${seconds}.${body}`));
}
