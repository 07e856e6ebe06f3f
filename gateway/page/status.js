// The proof line: what the feed did, so that a reader can trust the book above it.

import { byId, setData, setText } from "./dom.js";
import { display } from "./decimal.js";

const STATE_TEXT = {
  connecting: "Connecting",
  syncing: "Syncing",
  live: "Live",
  waiting: "Reconnecting",
};

export class Status {
  constructor(connection, market) {
    this.connection = connection;
    this.market = market;
    this.state = "connecting";
    this.rate = 0;
    this.messagesBefore = 0;
    this.lagMicros = null;
  }

  /** Once a second: the rate of messages. */
  sample() {
    this.rate = this.connection.messages - this.messagesBefore;
    this.messagesBefore = this.connection.messages;
  }

  /** Smoothed over about ten messages, or the figure could not be read. */
  stamp(ts, seenAt) {
    const lag = Math.max(0, seenAt + this.connection.clockOffsetMicros - ts);
    this.lagMicros = this.lagMicros === null ? lag : this.lagMicros + (lag - this.lagMicros) / 10;
  }

  paint() {
    const { connection, market } = this;
    const state = byId("connection-state");
    setData(state, "state", this.state);
    setText(byId("connection-text"), STATE_TEXT[this.state]);
    setText(byId("seq"), market.book.seq === null ? "–" : display(String(market.book.seq), 0));
    setText(byId("gaps"), String(market.gaps));
    setData(byId("gaps"), "bad", String(market.gaps > 0));
    setText(byId("resyncs"), String(market.resyncs));
    setText(byId("conflated"), display(String(market.conflated), 0));
    setText(byId("missed-trades"), display(String(market.missedTrades), 0));
    setText(byId("message-rate"), display(String(this.rate), 0));
    setText(byId("lag"), milliseconds(this.lagMicros));
    setText(byId("round-trip"), milliseconds(connection.roundTripMicros));
    setText(byId("reconnects"), String(connection.reconnects));
  }
}

function milliseconds(micros) {
  if (micros === null) return "–";
  const value = micros / 1000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
