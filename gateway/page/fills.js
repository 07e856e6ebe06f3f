// My fills since the page opened, newest first.

import { display } from "./decimal.js";
import { byId, clockTime, element, setText } from "./dom.js";

const ROWS_MOST = 100;

export class Fills {
  constructor() {
    this.body = byId("fills");
    this.pending = [];
    this.seen = 0;
  }

  report(data) {
    if (data.exec_type !== "trade") return;
    this.seen += 1;
    this.pending.push(data);
  }

  paint() {
    for (const fill of this.pending) this.body.prepend(makeRow(fill));
    this.pending.length = 0;
    while (this.body.rows.length > ROWS_MOST) this.body.lastElementChild.remove();
    setText(byId("fill-count"), String(this.seen));
    byId("fills-empty").hidden = this.seen > 0;
  }
}

function makeRow(fill) {
  const row = element("tr");
  row.dataset.execId = fill.exec_id;
  row.append(
    element("td", "dim", clockTime(fill.ts)),
    element("td", "name", fill.symbol),
    element("td", fill.side, fill.side),
    element("td", "", display(fill.last_price, 0)),
    element("td", "", display(fill.last_quantity, 0)),
    element("td", "dim", fill.liquidity),
    element("td", "dim", `${fill.fee} ${fill.fee_asset}`),
  );
  return row;
}
