/**
 * The embedding API: everything that a program needs to be an fsh server or client.
 *
 * @module
 */
export { Client, type ClientOptions, DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from "./client/client.ts";
export { type FshUrl, parseUrl } from "./client/url.ts";
export type { Authenticate, Credentials, Offer } from "./session/handshake.ts";
export { PrivateKey } from "./base/private_key.ts";
export { PublicKey } from "./base/public_key.ts";
export { makeVerifier } from "./base/scram.ts";
export type { Admission, User } from "./hooks/event.ts";
export { type Bounds, type LimitName, LIMITS, UNBOUNDED } from "./server/limits.ts";
export type { Metric, Metrics } from "./server/metrics.ts";
export { Server, type ServerOptions } from "./server/server.ts";
export { type LocalOptions, LocalStorage } from "./storage/local.ts";
export { MemoryStorage } from "./storage/memory.ts";
export type { FileReader, FileWriter, Page, Storage, Stored } from "./storage/storage.ts";
export { MemoryTransport } from "./transport/memory.ts";
export { type Identity, TlsTransport } from "./transport/tls.ts";
export { type KnownServers, TrustingConnector, type TrustOptions } from "./client/tls_trust.ts";
export { Certificate } from "./base/certificate.ts";
export { TcpTransport } from "./transport/tcp.ts";
export { DEFAULT_TUNING, type SocketTuning } from "./transport/tuning.ts";
export type { GrantedOptions } from "./native/socket_tuning.ts";
export type { TcpInfo } from "./native/tcp_info.ts";
export type { Connection, Listener, SocketReport, Transport } from "./transport/transport.ts";
export { type ErrorName, ERRORS, FshError } from "./base/errors.ts";
export { Log, type LogRecord } from "./base/log.ts";
export { VERSION } from "./base/version.ts";
