// The page of the exchange: an order book, its trades and a paper account, over one WebSocket.
//
// This file is the wiring and reads from top to bottom: what exists, what a message does, what a person does.
// Parts keep their own state and paint themselves; messages change state, and `markDirty` asks for a repaint.

import { Balances } from "./balances.js";
import { Candles } from "./candles.js";
import { Connection, nowMicros } from "./connection.js";
import { DepthCurve } from "./depth-curve.js";
import { byId, setData, setText } from "./dom.js";
import { Fills } from "./fills.js";
import { OrderForm } from "./form.js";
import { markDirty } from "./frame.js";
import { Ladder } from "./ladder.js";
import { Market } from "./market.js";
import { Orders } from "./orders.js";
import { Status } from "./status.js";
import { Summary } from "./summary.js";
import { Tape } from "./tape.js";

const account = accountName();
const info = await getJson("/api/v1/info");
const { symbols } = await getJson("/api/v1/symbols");

const connection = new Connection(socketUrl(info.ws_url), { open: opened, message: received, closed });
const market = new Market(connection);
const balances = new Balances();
const fills = new Fills();
const orders = new Orders(cancel, cancelAll);
const form = new OrderForm(market, balances, submit);
const ladder = new Ladder(market, () => orders.list(), (price) => form.pickPrice(price));
const tape = new Tape();
const summary = new Summary(market);
const candles = new Candles(() => markDirty(candles));
const curve = new DepthCurve(market, () => markDirty(curve));
const status = new Status(connection, market);

/** Last number of the private stream; it is gapless, so a jump means we missed something of our own. */
let execSeq = null;

// ---- the connection

function opened() {
  setState("syncing");
  connection.send({ action: "auth", id: 1, account });
  market.subscribe();
  connection.send({ action: "subscribe", channel: "user", id: 2 });
}

function closed() {
  setState("waiting");
  market.book.seq = null;
  if (byId("form-message").dataset.kind === "wait") {
    form.say("bad", "connection lost before the answer came: open orders will tell after reconnecting");
  }
}

// ---- what a message does

const handlers = {
  depth_snapshot: (data) => { market.snapshot(data); setState("live"); bookChanged(); },
  depth_update: (data, seenAt) => { market.update(data, seenAt); stamp(data.ts, seenAt); bookChanged(); },
  trade: (data, seenAt) => { market.trade(data, seenAt); stamp(data.ts, seenAt); traded(data); },
  gap: (data) => market.gap(data),
  status: (data) => form.marketIs(data.state),
  account_snapshot: (data) => {
    execSeq = data.exec_seq;
    balances.snapshot(data.balances);
    orders.snapshot(data.orders);
    accountChanged();
  },
  execution_report: (data) => { privateStep(data.exec_seq); orders.report(data); fills.report(data); accountChanged(); },
  balance_update: (data) => { privateStep(data.exec_seq); balances.update(data.balances); accountChanged(); },
  order_ack: (message) => { orders.acknowledged(message); form.accepted(message); accountChanged(); },
  order_reject: (message) => { orders.rejected(message.order_id); form.refused(message); accountChanged(); },
  cancel_ack: (message) => { if (message.order_id) orders.canceled(message); accountChanged(); },
  amend_ack: accountChanged,
  amend_reject: (message) => form.say("bad", `amend: ${message.message ?? message.code} (${message.code})`),
  cancel_reject: (message) => form.say("bad", `cancel: ${message.message ?? message.code} (${message.code})`),
  error: (message) => form.say("bad", `${message.action ?? "request"}: ${message.message} (${message.code})`),
};

/** Unknown types are ignored, as the protocol asks of clients. Market data of a symbol just left is too. */
function received(message) {
  if (message.channel && message.data && message.channel !== market.symbol) return;
  handlers[message.type]?.(message.data ?? message, nowMicros());
}

function bookChanged() {
  if (!market.isLive && connection.isOpen) setState("syncing");
  for (const part of [ladder, curve, summary, form]) markDirty(part);
}

function traded(trade) {
  tape.add(trade);
  candles.add(trade);
  summary.trade(trade);
  ladder.traded(trade.price, summary.direction);
  for (const part of [tape, candles, summary, ladder]) markDirty(part);
}

function accountChanged() {
  for (const part of [orders, fills, balances, form, ladder]) markDirty(part);
}

function stamp(ts, seenAt) {
  status.stamp(ts, seenAt);
}

/** A gap among our own events: the account is read again instead of guessed. */
function privateStep(seq) {
  const missed = execSeq !== null && seq > execSeq + 1;
  execSeq = seq;
  if (!missed) return;
  connection.request({ action: "unsubscribe", channel: "user" });
  connection.send({ action: "subscribe", channel: "user", id: 2 });
}

// ---- what a person does

function submit(order) {
  const request = { action: "submit_order", order_id: orderId(), ...order };
  if (connection.request(request) === null) return false;
  orders.sent(request);
  markDirty(orders);
  return true;
}

function cancel(order) {
  connection.request({ action: "cancel_order", symbol: order.symbol, order_id: order.order_id });
}

function cancelAll(ofSymbols) {
  for (const symbol of ofSymbols) connection.request({ action: "cancel_all", symbol });
}

function chooseSymbol(symbol) {
  const instrument = symbols.find((known) => known.symbol === symbol) ?? symbols[0];
  for (const part of [ladder, tape, summary, candles, curve, form]) {
    part.choose(instrument);
    markDirty(part);
  }
  byId("symbol").value = instrument.symbol;
  history.replaceState(null, "", `#${instrument.symbol}`);
  if (connection.isOpen) {
    setState("syncing");
    market.choose(instrument.symbol);
  } else {
    market.symbol = instrument.symbol;
    market.book.reset();
  }
}

function showTab(name) {
  for (const tab of ["orders", "fills"]) {
    const isShown = tab === name;
    byId(`${tab}-view`).hidden = !isShown;
    byId(`${tab}-tab`).setAttribute("aria-selected", String(isShown));
    byId(`${tab}-tab`).tabIndex = isShown ? 0 : -1;
    if (isShown) byId(`${tab}-tab`).focus({ preventScroll: true });
  }
}

// ---- start

byId("symbol").append(...symbols.map(({ symbol }) => new Option(symbol.replace("-", " / "), symbol)));
byId("symbol").addEventListener("change", (event) => chooseSymbol(event.target.value));
byId("grouping").addEventListener("change", () => markDirty(ladder));
byId("orders-tab").addEventListener("click", () => showTab("orders"));
byId("fills-tab").addEventListener("click", () => showTab("fills"));
document.querySelector(".tabs").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    showTab(byId("orders-view").hidden ? "orders" : "fills");
  }
});
document.querySelector(".thumb-bar").addEventListener("click", (event) => {
  const side = event.target.dataset.quickSide;
  if (side) form.start(side);
});
form.onEdit = () => markDirty(form);
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
  markDirty(candles);
  markDirty(curve);
});
setText(byId("account"), account);
setText(byId("mode"), `${info.mode}${info.demo ? ", paper money" : ""}`);
setInterval(() => status.sample(), 1_000);
setInterval(() => markDirty(status), 200);

chooseSymbol(location.hash.slice(1));
connection.open();

function setState(state) {
  status.state = state;
  markDirty(status);
}

/** One paper account per tab; `?account=alice` picks a name. */
function accountName() {
  const chosen = new URLSearchParams(location.search).get("account");
  const name = chosen ?? sessionStorage.getItem("account") ?? `web-${randomText(6)}`;
  sessionStorage.setItem("account", name);
  return name;
}

/** Unique without asking anyone: the time, then chance. */
function orderId() {
  return `w-${Date.now().toString(36)}-${randomText(8)}`;
}

function randomText(length) {
  const letters = "abcdefghijklmnopqrstuvwxyz234567"; // 32 of them, so a byte falls evenly
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => letters[byte % 32]).join("");
}

/** A server that listens everywhere does not know the name we reached it by. */
function socketUrl(given) {
  const url = new URL(given);
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = location.hostname;
  if (location.protocol === "https:") url.protocol = "wss:";
  return url.href;
}

/** Asks until there is an answer: the page may be open before the exchange has come up again. */
async function getJson(path) {
  for (;;) {
    const answer = await fetch(path, { cache: "no-store" }).catch(() => null);
    if (answer?.ok) return answer.json();
    setData(byId("connection-state"), "state", "failed");
    setText(byId("connection-text"), "No exchange");
    await new Promise((resume) => setTimeout(resume, 2_000));
  }
}
