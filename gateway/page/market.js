// One symbol's feed: subscribes, keeps the book's chain, counts what it had to repair.

import { Book } from "./book.js";

/** A snapshot that does not come within this time is asked for again. */
const RESYNC_PATIENCE_MS = 5_000;

export class Market {
  constructor(connection) {
    this.connection = connection;
    this.book = new Book();
    this.symbol = null;
    this.gaps = 0;
    this.resyncs = 0;
    /** Updates that stood for more than one change of the book. */
    this.conflated = 0;
    /** Trades the server said it skipped for us, or that the ids show are missing. */
    this.missedTrades = 0;
    this.lastTradeId = null;
    /** Time stamp of the newest message and when it came, for the lag figure. */
    this.lastTs = null;
    this.lastTsSeenAt = null;
    setInterval(() => this.#resyncIfLate(), RESYNC_PATIENCE_MS);
  }

  get isLive() {
    return this.book.seq !== null;
  }

  /** Leaves the old symbol and joins the new one. */
  choose(symbol) {
    if (this.symbol) this.connection.request({ action: "unsubscribe", channel: this.symbol });
    this.symbol = symbol;
    this.subscribe();
  }

  /** The bare form: one acknowledgement, one snapshot, then updates and trades. */
  subscribe() {
    this.book.reset();
    this.lastTradeId = null;
    this.lastTs = null;
    this.askedAt = performance.now();
    this.connection.send({ action: "subscribe", channel: this.symbol });
  }

  snapshot(data) {
    this.book.snapshot(data);
  }

  update(data, seenAt) {
    const outcome = this.book.update(data);
    if (outcome === "gap") {
      this.gaps += 1;
      this.resync();
    }
    if (outcome !== "applied") return;
    if (data.seq - data.prev_seq > 1) this.conflated += 1;
    this.#stamp(data.ts, seenAt);
  }

  trade(data, seenAt) {
    if (this.lastTradeId !== null && data.trade_id > this.lastTradeId + 1) {
      this.missedTrades += data.trade_id - this.lastTradeId - 1;
    }
    this.lastTradeId = data.trade_id;
    this.#stamp(data.ts, seenAt);
  }

  /** The server names what a slow reader missed; the ids are then accounted for and not counted twice. */
  gap(data) {
    if (data.stream !== "trade") return;
    this.missedTrades += data.to - data.from + 1;
    this.lastTradeId = data.to;
  }

  resync() {
    this.askedAt = performance.now();
    if (this.connection.request({ action: "resync", channel: this.symbol }) !== null) this.resyncs += 1;
  }

  #resyncIfLate() {
    const late = performance.now() - this.askedAt > RESYNC_PATIENCE_MS;
    if (this.symbol && this.connection.isOpen && !this.isLive && late) this.resync();
  }

  #stamp(ts, seenAt) {
    this.lastTs = ts;
    this.lastTsSeenAt = seenAt;
  }
}
