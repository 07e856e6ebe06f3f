// One symbol's order book as the page knows it, and the rule that keeps it true.
//
// Every depth_update names the sequence it starts from and the one it leads to. It is applied only when it starts
// where we are; older ones are dropped; anything else is a gap, and the book then waits for a fresh snapshot.
// A conflated update spans several sequence numbers, so conflation alone never breaks the chain.

import { units } from "./decimal.js";

/** One side. `levels` is sorted with the best price at the end, where nearly all changes happen. */
class Side {
  /** `direction` is 1n where a higher price is better (bids), -1n where a lower one is (asks). */
  constructor(direction) {
    this.direction = direction;
    this.byPrice = new Map();
    this.levels = [];
  }

  clear() {
    this.byPrice.clear();
    this.levels.length = 0;
  }

  get best() {
    return this.levels.at(-1);
  }

  set(price, quantity) {
    const level = this.byPrice.get(price);
    if (quantity === "0") return level && this.#remove(level);
    if (!level) return this.#insert(price, quantity);
    level.quantity = quantity;
    level.quantityUnits = units(quantity);
  }

  #insert(price, quantity) {
    const level = { price, units: units(price), quantity, quantityUnits: units(quantity) };
    this.byPrice.set(price, level);
    this.levels.splice(this.#position(level.units), 0, level);
  }

  #remove(level) {
    this.byPrice.delete(level.price);
    this.levels.splice(this.#position(level.units), 1);
  }

  /** Where a price is, or belongs. */
  #position(price) {
    let low = 0;
    let high = this.levels.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.levels[middle].units - price) * this.direction < 0n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class Book {
  constructor() {
    this.bids = new Side(1n);
    this.asks = new Side(-1n);
    /** Sequence of the last applied change; null until a snapshot arrives. */
    this.seq = null;
  }

  /** Forgets everything; updates are ignored until the next snapshot. */
  reset() {
    this.bids.clear();
    this.asks.clear();
    this.seq = null;
  }

  snapshot(data) {
    this.reset();
    this.#apply(data);
  }

  /** "applied", "stale" (already known), "waiting" (no snapshot yet) or "gap". A gap keeps the levels on screen. */
  update(data) {
    if (this.seq === null) return "waiting";
    if (data.seq <= this.seq) return "stale";
    if (data.prev_seq !== this.seq) {
      this.seq = null;
      return "gap";
    }
    this.#apply(data);
    return "applied";
  }

  #apply(data) {
    for (const [price, quantity] of data.bids) this.bids.set(price, quantity);
    for (const [price, quantity] of data.asks) this.asks.set(price, quantity);
    this.seq = data.seq;
  }
}
