// What the account owns: free, and held by open orders.

import { cut, display, units } from "./decimal.js";
import { byId, element, setText } from "./dom.js";

/** Enough to read; the exact amount is in the tooltip. */
const PLACES_SHOWN = 8;

export class Balances {
  constructor() {
    this.body = byId("balances");
    this.byAsset = new Map();
    this.rows = new Map();
  }

  snapshot(balances) {
    this.byAsset.clear();
    this.update(balances);
  }

  /** An update names only the assets that changed. */
  update(balances) {
    for (const balance of balances) this.byAsset.set(balance.asset, balance);
  }

  /** Exact free amount as units. */
  free(asset) {
    return units(this.byAsset.get(asset)?.free ?? "0");
  }

  paint() {
    for (const [asset, row] of this.rows) {
      if (this.byAsset.has(asset)) continue;
      row.remove();
      this.rows.delete(asset);
    }
    for (const balance of this.byAsset.values()) this.#paintRow(balance);
  }

  #paintRow(balance) {
    const row = this.rows.get(balance.asset) ?? this.#makeRow(balance.asset);
    setText(row.cells[1], display(cut(balance.free, PLACES_SHOWN), 2));
    setText(row.cells[2], display(cut(balance.locked, PLACES_SHOWN), 2));
    row.cells[1].title = balance.free;
    row.cells[2].title = balance.locked;
  }

  #makeRow(asset) {
    const row = element("tr");
    row.dataset.asset = asset;
    const name = element("th", "name", asset);
    name.scope = "row";
    row.append(name, element("td"), element("td", "dim"));
    this.rows.set(asset, row);
    this.body.append(row);
    return row;
  }
}
