// The few helpers every part shares.

export const byId = (id) => document.getElementById(id);

/** Touches the document only when the text differs: a write, even of the same text, costs a layout. */
export function setText(node, text) {
  if (node.shown === text) return;
  node.shown = text;
  node.textContent = text;
}

export function setData(node, key, value) {
  if (node.dataset[key] !== value) node.dataset[key] = value;
}

export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Microseconds since 1970 to the reader's local time, "14:03:07.120". */
export function clockTime(ts) {
  const date = new Date(ts / 1000);
  const two = (value) => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}` +
    `.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** A canvas made as sharp as the screen. Returns its context and its size in CSS pixels. */
export function sharpCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

const names = ["buy", "sell", "buy-soft", "sell-soft", "text", "dim", "line", "accent"];
let colours = null;

/** The theme's colours for canvas drawing, read once and again when the scheme changes. */
export function theme() {
  if (colours) return colours;
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return colours;
}

matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => { colours = null; });
