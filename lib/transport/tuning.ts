import type { KeepAlive, SocketTuning } from "../native/socket_tuning.ts";

export type { SocketTuning };

/** 60 s idle, 10 s interval, 3 probes: a peer that vanished is noticed within 90 s even with the heartbeat off. */
export const DEFAULT_KEEPALIVE: KeepAlive = { idle: 60, interval: 10, count: 3 };

/** What sockets are without any word of the user's. */
export const DEFAULT_TUNING: SocketTuning = {
  keepAlive: DEFAULT_KEEPALIVE,
  sendBuffer: null,
  receiveBuffer: null,
  noDelay: "on",
  backlog: 511,
  linger: null,
  userTimeout: null,
};
