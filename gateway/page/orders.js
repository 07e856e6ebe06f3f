// My open orders. The account snapshot sets them; acknowledgements and execution reports change them.
//
// An order shows as "sent" from the moment it leaves, and becomes real with its acknowledgement. Reports are the
// truth about fills; the acknowledgement only says that the exchange has it.

import { display, isDecimal, units } from "./decimal.js";
import { byId, element, setData, setText } from "./dom.js";

const ENDED = new Set(["filled", "canceled", "rejected", "expired"]);

export class Orders {
  /** `cancel(order)` and `cancelAll(symbols)` send the requests. */
  constructor(cancel, cancelAll) {
    this.open = new Map();
    this.rows = new Map();
    /** Ids that have ended, so that a late acknowledgement cannot bring an order back. */
    this.ended = new Set();
    this.body = byId("open-orders");
    this.body.addEventListener("click", (event) => {
      const order = this.open.get(event.target.closest("button.cancel")?.closest("tr").dataset.orderId);
      if (order) cancel(order);
    });
    byId("cancel-all").addEventListener("click", () => cancelAll([...new Set(this.list().map((o) => o.symbol))]));
  }

  list() {
    return [...this.open.values()];
  }

  /** Everything the exchange knows of this account; what it does not list is gone. */
  snapshot(orders) {
    this.open.clear();
    for (const order of orders) this.#put(order.order_id, order);
  }

  sent(order) {
    this.#put(order.order_id, { ...order, cum_quantity: "0", status: "sent" });
  }

  acknowledged(ack) {
    const order = this.open.get(ack.order_id);
    if (order?.status === "sent") order.status = ack.status;
  }

  rejected(orderId) {
    this.#end(orderId);
  }

  report(data) {
    if (ENDED.has(data.status)) return this.#end(data.order_id);
    this.#put(data.order_id, {
      order_id: data.order_id,
      symbol: data.symbol,
      side: data.side,
      price: data.price,
      quantity: data.quantity,
      cum_quantity: data.cum_quantity,
      status: data.status,
    });
  }

  canceled(ack) {
    this.#end(ack.order_id);
  }

  paint() {
    for (const [id, row] of this.rows) if (!this.open.has(id)) this.#drop(id, row);
    for (const order of this.open.values()) this.#paintRow(order);
    setText(byId("order-count"), String(this.open.size));
    byId("cancel-all").disabled = this.open.size === 0;
    byId("orders-empty").hidden = this.open.size > 0;
  }

  #put(id, order) {
    if (!this.ended.has(id)) this.open.set(id, order);
  }

  #end(id) {
    this.open.delete(id);
    this.ended.add(id);
    // Only acknowledgements still on their way matter; a thousand is more than can be in flight.
    if (this.ended.size > 1_000) this.ended.delete(this.ended.values().next().value);
  }

  #drop(id, row) {
    row.remove();
    this.rows.delete(id);
  }

  #paintRow(order) {
    const row = this.rows.get(order.order_id) ?? this.#makeRow(order);
    setData(row, "status", order.status);
    setText(row.cells[2], order.price ? display(order.price, 0) : "market");
    setText(row.cells[3], display(order.quantity, 0));
    setText(row.cells[4], filledShare(order));
    setText(row.cells[5], order.status.replace("_", " "));
  }

  #makeRow(order) {
    const row = element("tr");
    row.dataset.orderId = order.order_id;
    row.title = `order ${order.order_id}`;
    row.append(element("td", "name", order.symbol), element("td", order.side, order.side));
    row.append(element("td"), element("td"), element("td"), element("td", "status"));
    const cell = element("td", "act");
    const button = element("button", "cancel", "Cancel");
    button.type = "button";
    button.setAttribute("aria-label", `Cancel ${order.side} ${order.quantity} ${order.symbol} at ${order.price ?? "market"}`);
    cell.append(button);
    row.append(cell);
    this.rows.set(order.order_id, row);
    this.body.prepend(row);
    return row;
  }
}

function filledShare(order) {
  if (!isDecimal(order.quantity) || !isDecimal(order.cum_quantity ?? "")) return "–";
  const whole = units(order.quantity);
  return whole === 0n ? "–" : `${(units(order.cum_quantity) * 100n) / whole}%`;
}
