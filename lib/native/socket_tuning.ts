/** Keepalive of TCP (tcp(7): TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT). */
export interface KeepAlive {
  /** Seconds of silence before the first probe. */
  readonly idle: number;
  /** Seconds between probes. */
  readonly interval: number;
  /** Unanswered probes before the connection is given up. */
  readonly count: number;
}

/** How the sockets of one transport are to be; a plain object, so that it can be handed to a Worker. */
export interface SocketTuning {
  /** `system`: with the kernel's own timers (net.ipv4.tcp_keepalive_*). */
  readonly keepAlive: KeepAlive | "system" | "off";
  /**
   * Bytes of SO_SNDBUF and SO_RCVBUF (socket(7)): the kernel takes no more than net.core.wmem_max or rmem_max, and doubles
   * it for its own needs. Null: the kernel sizes the buffer itself, as the transfer needs it (tcp(7): tcp_wmem, tcp_rmem).
   */
  readonly sendBuffer: number | null;
  readonly receiveBuffer: number | null;
  /**
   * `on`: whatever is written goes out at once (TCP_NODELAY). `off`: small pieces wait while others are under way, as
   * Nagle's algorithm has it (RFC 896). `cork`: as `on`, but what is written in one turn goes out together (TCP_CORK).
   */
  readonly noDelay: "on" | "off" | "cork";
  /** Connections that may wait to be accepted; the kernel takes no more than net.core.somaxconn (listen(2)). */
  readonly backlog: number;
  /**
   * Seconds for which close(2) waits until the peer has taken all (SO_LINGER); 0: what was not sent is dropped, and the
   * peer sees a reset. Null: close(2) does not wait, and the kernel goes on sending.
   */
  readonly linger: number | null;
  /**
   * Milliseconds for which data may stay unacknowledged before the connection is given up (TCP_USER_TIMEOUT); null: until
   * the kernel has sent it often enough (net.ipv4.tcp_retries2, about 15 minutes). It counts for keepalive as well,
   * instead of the number of probes.
   */
  readonly userTimeout: number | null;
}

/** What the kernel has of the options of one socket now (getsockopt(2)). */
export interface GrantedOptions {
  /** The timers hold even while keepalive is off. */
  readonly keepAlive: KeepAlive & { readonly on: boolean };
  /** Bytes as the kernel counts them, its own needs included: twice what was asked for. */
  readonly sendBuffer: number;
  readonly receiveBuffer: number;
  readonly noDelay: boolean;
  readonly cork: boolean;
  /** Seconds; null: off. */
  readonly linger: number | null;
  /** Milliseconds; null: off. */
  readonly userTimeout: number | null;
  /** Name of the congestion control. */
  readonly congestion: string;
  /** Connections that may wait to be accepted; null: the socket does not listen. */
  readonly backlog: number | null;
}
