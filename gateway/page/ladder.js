// The order book: asks above, bids below, the spread between. Rows are made once and refilled; a frame writes only
// into rows whose content changed.

import { ceilTo, decimals, display, divide, floorTo, ONE, share, text, units } from "./decimal.js";
import { byId, element, setData, setText } from "./dom.js";
import { markDirty } from "./frame.js";

const GROUPINGS = [1, 10, 100, 1000];
const ROWS_MOST = 22;
const ROWS_LEAST = 6;
const ROW_HEIGHT = 20;
/** A phone's page scrolls, so its rows are few and as tall as a thumb needs. */
const ROWS_PHONE = 8;
const ROW_HEIGHT_PHONE = 30;
const FLASH_MS = 450;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const phone = matchMedia("(max-width: 719px)");

/** One row: a button, so that it can be reached and pressed without a mouse. */
class Row {
  constructor(side) {
    this.node = element("button", "ladder-row");
    this.node.type = "button";
    this.node.tabIndex = -1;
    this.node.dataset.side = side;
    this.bar = element("i", "bar");
    this.price = element("span", "price");
    this.quantity = element("span", "quantity");
    this.total = element("span", "total");
    this.node.append(this.bar, this.price, this.quantity, this.total);
  }

  fill(level, share, shown, isMine) {
    setData(this.node, "price", level.price);
    setText(this.price, display(level.price, shown.price));
    setText(this.quantity, display(level.quantity, shown.quantity));
    setText(this.total, display(text(level.total), shown.quantity));
    const width = `scaleX(${share})`;
    if (this.width !== width) this.bar.style.transform = this.width = width;
    this.node.toggleAttribute("data-mine", isMine);
  }

  clear() {
    if (!("price" in this.node.dataset)) return;
    delete this.node.dataset.price;
    for (const cell of [this.price, this.quantity, this.total]) setText(cell, "");
    this.bar.style.transform = this.width = "scaleX(0)";
    this.node.removeAttribute("data-mine");
  }

  flash() {
    if (calm.matches || this.flashing?.playState === "running") return;
    this.flashing = this.node.animate(
      [{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }],
      { duration: FLASH_MS, easing: "ease-out" },
    );
  }
}

/** One side's rows, best first, and what the last frame showed, so that changes can flash. */
class SideView {
  constructor(side, container) {
    this.side = side;
    this.container = container;
    this.rows = [];
    this.painted = new Map();
  }

  build(count) {
    this.rows = Array.from({ length: count }, () => new Row(this.side));
    const nodes = this.rows.map((row) => row.node);
    if (this.side === "sell") nodes.reverse(); // the best ask sits lowest, next to the spread
    this.container.replaceChildren(...nodes);
  }

  paint(levels, most, shown, mine) {
    const before = this.painted;
    const edge = this.edge;
    this.painted = new Map();
    this.rows.forEach((row, index) => {
      const level = levels[index];
      if (!level) return row.clear();
      row.fill(level, share(level.total, most), shown, mine.has(level.price));
      if (before.get(level.price) !== level.quantity && this.#wasInView(level, edge)) row.flash();
      this.painted.set(level.price, level.quantity);
    });
    this.edge = levels.at(-1)?.units;
  }

  /** A level that only moved into view has not changed. */
  #wasInView(level, edge) {
    if (edge === undefined) return false;
    return this.side === "buy" ? level.units >= edge : level.units <= edge;
  }

  forget() {
    this.painted.clear();
    this.edge = undefined;
  }
}

export class Ladder {
  /** `onPick(price)` is called with the exact price of a chosen row. `ownOrders()` lists my open orders. */
  constructor(market, ownOrders, onPick) {
    this.market = market;
    this.ownOrders = ownOrders;
    this.asks = new SideView("sell", byId("asks"));
    this.bids = new SideView("buy", byId("bids"));
    this.grouping = byId("grouping");
    this.node = byId("ladder");
    this.lastDirection = "none";
    this.node.addEventListener("click", (event) => {
      const price = event.target.closest(".ladder-row")?.dataset.price;
      if (price) onPick(price);
    });
    this.node.addEventListener("keydown", (event) => this.#moveFocus(event));
    this.#fit();
  }

  /** A new symbol: its steps, its names. */
  choose(instrument) {
    this.instrument = instrument;
    this.shown = { price: decimals(instrument.tick), quantity: decimals(instrument.lot) };
    const tick = units(instrument.tick);
    this.grouping.replaceChildren(...GROUPINGS.map((many) => new Option(text(tick * BigInt(many)), many)));
    setText(byId("ladder-price-title"), `Price ${instrument.quote}`);
    setText(byId("ladder-quantity-title"), `Quantity ${instrument.base}`);
    this.asks.forget();
    this.bids.forget();
    this.last = null;
  }

  traded(price, direction) {
    this.last = price;
    this.lastDirection = direction;
  }

  paint() {
    if (!this.instrument) return;
    const { bids, asks } = this.market.book;
    const group = units(this.instrument.tick) * BigInt(this.grouping.value);
    const askLevels = grouped(asks, this.asks.rows.length, (price) => ceilTo(price, group));
    const bidLevels = grouped(bids, this.bids.rows.length, (price) => floorTo(price, group));
    const deepest = [askLevels.at(-1)?.total ?? 0n, bidLevels.at(-1)?.total ?? 0n];
    const most = deepest[0] > deepest[1] ? deepest[0] : deepest[1];
    this.asks.paint(askLevels, most, this.shown, this.#mine("sell", (price) => ceilTo(price, group)));
    this.bids.paint(bidLevels, most, this.shown, this.#mine("buy", (price) => floorTo(price, group)));
    this.#paintSpread(bids.best, asks.best);
    this.#keepOneStop();
  }

  #mine(side, toGroup) {
    const orders = this.ownOrders().filter((order) => order.side === side && order.price);
    const here = orders.filter((order) => order.symbol === this.instrument.symbol);
    return new Set(here.map((order) => text(toGroup(units(order.price)))));
  }

  #paintSpread(bid, ask) {
    const last = byId("spread-last");
    setText(last, this.last ? display(this.last, this.shown.price) : "–");
    setData(last, "direction", this.lastDirection);
    // In an auction the best bid may be above the best ask: there is no spread then.
    if (!bid || !ask || bid.units > ask.units) {
      setText(byId("spread"), "–");
      setText(byId("spread-share"), "");
      return;
    }
    const spread = ask.units - bid.units;
    const middle = (ask.units + bid.units) / 2n;
    setText(byId("spread"), display(text(spread), this.shown.price));
    const basisPoints = Number(divide(spread * 10_000n, middle) * 100n / ONE) / 100;
    setText(byId("spread-share"), `${basisPoints.toFixed(2)} bp`);
  }

  /** As many rows as the panel has room for, stretched so that they fill it. */
  #fit() {
    const resize = () => {
      const room = this.asks.container.clientHeight;
      const fitting = Math.max(ROWS_LEAST, Math.min(ROWS_MOST, Math.floor(room / ROW_HEIGHT)));
      const count = phone.matches ? ROWS_PHONE : fitting;
      const height = phone.matches ? ROW_HEIGHT_PHONE : Math.max(ROW_HEIGHT, room / count);
      this.node.style.setProperty("--row-height", `${height}px`);
      if (count === this.asks.rows.length) return;
      this.asks.build(count);
      this.bids.build(count);
      markDirty(this);
    };
    new ResizeObserver(resize).observe(this.node);
    resize();
  }

  /** One tab stop for the whole ladder, the best ask; arrows go on from there. */
  #keepOneStop() {
    const stop = this.node.contains(document.activeElement) ? document.activeElement : this.asks.rows[0]?.node;
    if (this.stop === stop) return;
    if (this.stop) this.stop.tabIndex = -1;
    if (stop) stop.tabIndex = 0;
    this.stop = stop;
  }

  #moveFocus(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const rows = [...this.node.querySelectorAll(".ladder-row[data-price]")];
    const next = rows[rows.indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
    this.#keepOneStop();
  }
}

/** The best `count` groups of a side with their running totals. Ungrouped prices are groups of one tick. */
function grouped(side, count, toGroup) {
  const groups = [];
  let total = 0n;
  for (let index = side.levels.length - 1; index >= 0; index -= 1) {
    const level = side.levels[index];
    const price = toGroup(level.units);
    let group = groups.at(-1);
    if (group?.units !== price) {
      if (groups.length === count) break;
      group = { units: price, sum: 0n };
      groups.push(group);
    }
    group.sum += level.quantityUnits;
    total += level.quantityUnits;
    group.total = total;
  }
  for (const group of groups) {
    group.price = text(group.units);
    group.quantity = text(group.sum);
  }
  return groups;
}
