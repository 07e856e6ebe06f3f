// Exact decimals. Prices, quantities and money arrive as text and stay exact: they are compared and summed as
// BigInt counts of 10^-18, the finest unit the exchange knows. A float appears only where a pixel is computed.

const DIGITS = 18;
export const ONE = 10n ** BigInt(DIGITS);

const DECIMAL = /^\d{1,20}(\.\d{1,18})?$/;

/** True for plain positive-or-zero decimals such as "0.5"; no sign, no exponent, no grouping. */
export const isDecimal = (text) => DECIMAL.test(text);

/** "1.5" to 1500000000000000000n. */
export function units(text) {
  const point = text.indexOf(".");
  if (point < 0) return BigInt(text) * ONE;
  return BigInt(text.slice(0, point) + text.slice(point + 1).padEnd(DIGITS, "0"));
}

/** 1500000000000000000n to "1.5": the shortest exact text, as the exchange writes it. */
export function text(value) {
  const digits = value.toString().padStart(DIGITS + 1, "0");
  const whole = digits.slice(0, -DIGITS);
  const fraction = digits.slice(-DIGITS).replace(/0+$/, "");
  return fraction ? `${whole}.${fraction}` : whole;
}

/** How many digits follow the point: "0.01" has 2. */
export function decimals(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** For reading: at least `places` digits after the point and thousands apart, "64000.5" to "64,000.50". */
export function display(text, places) {
  const point = text.indexOf(".");
  const whole = point < 0 ? text : text.slice(0, point);
  const fraction = (point < 0 ? "" : text.slice(point + 1)).padEnd(places, "0");
  const grouped = whole.length > 3 ? whole.replace(/\B(?=(\d{3})+$)/g, ",") : whole;
  return fraction ? `${grouped}.${fraction}` : grouped;
}

/** Cuts `text` to `places` digits after the point. Display only: what is sent keeps every digit. */
export function cut(text, places) {
  const point = text.indexOf(".");
  return point < 0 ? text : text.slice(0, places ? point + 1 + places : point);
}

export const multiply = (a, b) => (a * b) / ONE;
export const divide = (a, b) => (a * ONE) / b;
/** The largest multiple of `step` that is not above `value`. */
export const floorTo = (value, step) => value - (value % step);
/** The smallest multiple of `step` that is not below `value`. */
export const ceilTo = (value, step) => floorTo(value + step - 1n, step);
/** `part / whole` for drawing, exact to a ten-thousandth. */
export const share = (part, whole) => (whole === 0n ? 0 : Number((part * 10_000n) / whole) / 10_000);
