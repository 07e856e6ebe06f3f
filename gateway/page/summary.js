// The top line: last price, touch, and what happened since the page opened.

import { cut, decimals, display, text, units } from "./decimal.js";
import { byId, setData, setText } from "./dom.js";

export class Summary {
  constructor(market) {
    this.market = market;
  }

  choose(instrument) {
    this.instrument = instrument;
    this.places = decimals(instrument.tick);
    this.last = this.high = this.low = null;
    this.volume = 0n;
    this.direction = "none";
  }

  trade(trade) {
    const price = units(trade.price);
    if (this.last !== null && price !== this.last) this.direction = price > this.last ? "up" : "down";
    this.last = price;
    this.high = this.high === null || price > this.high ? price : this.high;
    this.low = this.low === null || price < this.low ? price : this.low;
    this.volume += units(trade.quantity);
  }

  paint() {
    if (!this.instrument) return;
    const { bids, asks } = this.market.book;
    const last = byId("last-price");
    setText(last, this.#show(this.last));
    setData(last, "direction", this.direction);
    setText(byId("best-bid"), this.#show(bids.best?.units));
    setText(byId("best-ask"), this.#show(asks.best?.units));
    setText(byId("mid-price"), this.#middle(bids.best, asks.best));
    setText(byId("session-high"), this.#show(this.high));
    setText(byId("session-low"), this.#show(this.low));
    setText(byId("session-volume"), `${display(cut(text(this.volume), 4), 0)} ${this.instrument.base}`);
    const shown = this.last === null ? this.instrument.symbol : `${this.#show(this.last)} ${this.instrument.symbol}`;
    if (document.title !== `${shown} · Ringside`) document.title = `${shown} · Ringside`;
  }

  #show(value) {
    return value === null || value === undefined ? "–" : display(text(value), this.places);
  }

  #middle(bid, ask) {
    return bid && ask ? `mid ${display(text((bid.units + ask.units) / 2n), this.places)}` : "one side is empty";
  }
}
