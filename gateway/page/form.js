// The order form. It checks only that the numbers are numbers: every rule of the market is the exchange's to tell,
// and its refusals are shown in its own words beside the field they speak of.

import { cut, decimals, display, divide, floorTo, isDecimal, multiply, text, units } from "./decimal.js";
import { byId, setData, setText } from "./dom.js";

/** Room left for the fee when a share of the balance is spent, in parts of 10,000. Picked by eye above any demo fee. */
const FEE_ROOM = 20n;
/** A market buy holds money up to its protection price; 5 % is the room we leave for it. */
const MARKET_ROOM = 500n;

/** Which field a refusal speaks of, where the exchange does not name it itself. */
const FIELD_OF_CODE = {
  PRICE_TICK: "price",
  PRICE_BAND: "price",
  POST_ONLY_WOULD_TAKE: "price",
  LOT_SIZE: "quantity",
  MIN_NOTIONAL: "quantity",
  INSUFFICIENT_BALANCE: "quantity",
};

export class OrderForm {
  /** `submit(order)` sends and returns false when there is no connection. */
  constructor(market, balances, submit) {
    this.market = market;
    this.balances = balances;
    this.submit = submit;
    this.form = byId("order-form");
    this.price = byId("price");
    this.quantity = byId("quantity");
    this.form.addEventListener("submit", (event) => this.#send(event));
    this.form.addEventListener("input", () => this.#edited());
    this.form.addEventListener("click", (event) => this.#percent(event.target.dataset.percent));
    this.price.addEventListener("keydown", (event) => this.#nudge(event, this.price, this.instrument?.tick));
    this.quantity.addEventListener("keydown", (event) => this.#nudge(event, this.quantity, this.instrument?.lot));
  }

  get side() {
    return this.form.elements.side.value;
  }

  get isMarket() {
    return this.form.elements.order_type.value === "market";
  }

  choose(instrument) {
    this.instrument = instrument;
    this.price.value = "";
    this.quantity.value = "";
    setText(byId("price-unit"), instrument.quote);
    setText(byId("quantity-unit"), instrument.base);
    this.say("none", "");
  }

  /** A price was picked in the ladder. */
  pickPrice(price) {
    if (this.isMarket) byId("type-limit").checked = true;
    this.price.value = price;
    this.#edited();
  }

  /** The thumb bar of a phone: show the form with this side chosen. */
  start(side) {
    byId(`side-${side}`).checked = true;
    this.#edited();
    this.form.scrollIntoView({ block: "center" });
    (this.isMarket || this.price.value ? this.quantity : this.price).focus({ preventScroll: true });
  }

  /** The first price a person would type: where the book is now. */
  suggestPrice(price) {
    this.price.placeholder = price;
  }

  accepted(ack) {
    this.say("good", `Order ${ack.order_id} accepted, seq ${ack.seq}`);
  }

  refused(message) {
    const field = message.field ?? FIELD_OF_CODE[message.code];
    const where = field ? `${field}: ` : "";
    this.say("bad", `${where}${message.message} (${message.code})`, field);
  }

  /** What the exchange says of the market: halted, in an auction, trading again. */
  marketIs(state) {
    const isTrading = state === "trading";
    this.say(isTrading ? "good" : "bad", isTrading ? "Trading" : `This market does not trade now: ${state.replace("_", " ")}`);
  }

  say(kind, message, field) {
    const line = byId("form-message");
    setData(line, "kind", kind);
    setText(line, message);
    for (const input of [this.price, this.quantity]) {
      input.setAttribute("aria-invalid", String(input.name === field));
    }
  }

  paint() {
    if (!this.instrument) return;
    const { base, quote } = this.instrument;
    const isBuy = this.side === "buy";
    const asset = isBuy ? quote : base;
    byId("price-field").hidden = this.isMarket;
    byId("limit-options").hidden = this.isMarket;
    setText(byId("available"), `${display(cut(text(this.balances.free(asset)), 8), 2)} ${asset}`);
    setText(byId("total-label"), this.isMarket ? "Total, about" : "Total");
    setText(byId("total"), this.#total());
    const submit = byId("submit-order");
    setData(submit, "side", this.side);
    setText(submit, `${isBuy ? "Buy" : "Sell"} ${base}`);
  }

  /** `onEdit` is set by the wiring: the form asks to be painted. */
  #edited() {
    this.say("none", "");
    this.onEdit?.();
  }

  #total() {
    const price = this.#priceUnits();
    if (price === null || !isDecimal(this.quantity.value)) return "–";
    const total = text(multiply(price, units(this.quantity.value)));
    return `${display(cut(total, 8), 2)} ${this.instrument.quote}`;
  }

  /** The limit price, or for a market order the price it would start at. Null when there is none. */
  #priceUnits() {
    if (!this.isMarket) return isDecimal(this.price.value) ? units(this.price.value) : null;
    const side = this.side === "buy" ? this.market.book.asks : this.market.book.bids;
    return side.best?.units ?? null;
  }

  #percent(percent) {
    if (!percent || !this.instrument) return;
    if (!this.isMarket && !this.price.value) this.#useTouch();
    const quantity = this.#affordable(BigInt(percent));
    if (quantity === null) return this.say("bad", "price: enter a price first", "price");
    this.quantity.value = text(floorTo(quantity, units(this.instrument.lot)));
    this.#edited();
  }

  /** Without a price a share of the balance means nothing, so take the nearest price that rests. */
  #useTouch() {
    const { bids, asks } = this.market.book;
    const best = (this.side === "buy" ? bids : asks).best;
    if (best) this.price.value = best.price;
  }

  #affordable(percent) {
    const { base, quote } = this.instrument;
    if (this.side === "sell") return (this.balances.free(base) * percent) / 100n;
    const price = this.#priceUnits();
    if (!price) return null;
    const room = FEE_ROOM + (this.isMarket ? MARKET_ROOM : 0n);
    const budget = (this.balances.free(quote) * percent * 10_000n) / (100n * (10_000n + room));
    return divide(budget, price);
  }

  /** Arrow keys move a number by one step of the market. */
  #nudge(event, input, step) {
    const direction = { ArrowUp: 1n, ArrowDown: -1n }[event.key];
    if (!direction || !step) return;
    event.preventDefault();
    const from = isDecimal(input.value) ? input.value : isDecimal(input.placeholder) ? input.placeholder : "0";
    const next = units(from) + direction * units(step);
    if (next > 0n) input.value = text(next);
    this.#edited();
  }

  #send(event) {
    event.preventDefault();
    const order = this.#order();
    if (!order) return;
    if (!this.submit(order)) return this.say("bad", "not connected: nothing was sent");
    this.say("wait", "Sent, waiting for the exchange");
  }

  #order() {
    if (!this.#check(this.quantity)) return null;
    const order = {
      symbol: this.instrument.symbol,
      side: this.side,
      quantity: this.quantity.value,
      order_type: this.isMarket ? "market" : "limit",
    };
    if (this.isMarket) return order;
    if (!this.#check(this.price)) return null;
    return { ...order, price: this.price.value, tif: byId("tif").value, post_only: byId("post-only").checked };
  }

  #check(input) {
    input.value = input.value.trim();
    if (isDecimal(input.value) && units(input.value) > 0n) return true;
    const step = input === this.price ? this.instrument.tick : this.instrument.lot;
    this.say("bad", `${input.name}: a positive number with at most ${decimals(step)} decimals`, input.name);
    input.focus();
    return false;
  }
}
