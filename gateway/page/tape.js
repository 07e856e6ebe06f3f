// The trade tape, newest first, coloured by the side that took. Rows are recycled: the oldest becomes the newest.

import { decimals, display } from "./decimal.js";
import { byId, clockTime, element, setData, setText } from "./dom.js";

const ROWS_MOST = 200;

export class Tape {
  constructor() {
    this.body = byId("tape");
    this.empty = byId("tape-empty");
    this.pending = [];
    this.seen = 0;
  }

  choose(instrument) {
    this.shown = { price: decimals(instrument.tick), quantity: decimals(instrument.lot) };
    this.pending.length = 0;
    this.seen = 0;
    this.body.replaceChildren();
  }

  add(trade) {
    this.seen += 1;
    this.pending.push(trade);
    // A hidden tab gets no frames; keep only what the tape could show.
    if (this.pending.length > 2 * ROWS_MOST) this.pending.splice(0, ROWS_MOST);
  }

  paint() {
    for (const trade of this.pending.slice(-ROWS_MOST)) this.#show(trade);
    this.pending.length = 0;
    this.empty.hidden = this.seen > 0;
    setText(byId("tape-count"), this.seen ? `${display(String(this.seen), 0)} seen` : "");
  }

  #show(trade) {
    const row = this.body.rows.length < ROWS_MOST ? makeRow() : this.body.lastElementChild;
    setData(row, "side", trade.side);
    setData(row, "tradeId", String(trade.trade_id));
    setText(row.cells[0], display(trade.price, this.shown.price));
    setText(row.cells[1], display(trade.quantity, this.shown.quantity));
    setText(row.cells[2], clockTime(trade.ts).slice(0, 8));
    this.body.prepend(row);
  }
}

function makeRow() {
  const row = element("tr");
  row.append(element("td", "price"), element("td"), element("td", "dim"));
  return row;
}
