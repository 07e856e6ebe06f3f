// The socket: opens it, keeps it alive, opens it again. It knows nothing of markets or orders.
//
// A browser cannot send ping frames, so an application ping goes out every 5 s. Its answer gives the round trip
// and the difference between the server's clock and ours, which makes the lag figure honest on two machines.

const PING_MS = 5_000;
/** Three pings unanswered: the path is dead even if nobody told us. */
const SILENCE_MS = 3 * PING_MS;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_LAST_MS = 8_000;
/** A connection that lived this long was good: the next backoff starts small again. */
const STABLE_MS = 10_000;

/** Microseconds since 1970, finer than Date.now(). */
export const nowMicros = () => (performance.timeOrigin + performance.now()) * 1000;

export class Connection {
  /** `on` has open(), message(message), closed(); all are called in order, none may throw. */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.socket = null;
    this.attempts = 0;
    this.reconnects = 0;
    this.messages = 0;
    this.roundTripMicros = null;
    /** Add to our clock to get the server's. Taken from the quickest round trip of this connection. */
    this.clockOffsetMicros = 0;
    this.nextId = 100; // low ids belong to the fixed requests of a session
    this.pings = new Map();
    setInterval(() => this.#keepAlive(), PING_MS);
    addEventListener("online", () => this.#retryNow());
  }

  open() {
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => this.#opened();
    this.socket.onmessage = (event) => this.#received(event.data);
    this.socket.onclose = () => this.#closed();
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** False when there is no open socket; nothing is queued, because a late order is worse than none. */
  send(message) {
    if (!this.isOpen) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Sends with a fresh request id and returns the id, or null when not connected. */
  request(message) {
    const id = this.nextId++;
    return this.send({ ...message, id }) ? id : null;
  }

  #opened() {
    this.openedAt = this.heardAt = performance.now();
    this.pings.clear();
    this.quickestMicros = Infinity;
    this.on.open();
    this.#ping();
  }

  #received(text) {
    this.messages += 1;
    this.heardAt = performance.now();
    const message = JSON.parse(text);
    if (message.type === "pong") return this.#pong(message);
    if (message.type === "server_shutdown") this.askedWaitMs = message.reconnect_after_ms;
    this.on.message(message);
  }

  #ping() {
    const id = this.request({ action: "ping" });
    if (id !== null) this.pings.set(id, nowMicros());
  }

  #pong(message) {
    const sentAt = this.pings.get(message.id);
    if (sentAt === undefined) return;
    this.pings.delete(message.id);
    const now = nowMicros();
    this.roundTripMicros = now - sentAt;
    if (this.roundTripMicros > this.quickestMicros) return;
    this.quickestMicros = this.roundTripMicros;
    this.clockOffsetMicros = message.ts - (sentAt + now) / 2;
  }

  #keepAlive() {
    if (!this.isOpen) return;
    if (performance.now() - this.heardAt > SILENCE_MS) this.socket.close();
    else this.#ping();
  }

  #closed() {
    if (this.openedAt && performance.now() - this.openedAt > STABLE_MS) this.attempts = 0;
    this.openedAt = null;
    this.roundTripMicros = null;
    const wait = this.#waitMs();
    this.attempts += 1;
    this.reconnects += 1;
    this.on.closed();
    this.retry = setTimeout(() => this.open(), wait);
  }

  /** Doubles per attempt, with jitter so that a restarted exchange is not met by everyone at once. */
  #waitMs() {
    const ceiling = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** this.attempts);
    const wait = ceiling / 2 + Math.random() * (ceiling / 2);
    const asked = this.askedWaitMs ?? 0;
    this.askedWaitMs = undefined;
    return Math.max(wait, asked);
  }

  #retryNow() {
    if (!this.socket || this.socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.retry);
    this.open();
  }
}
