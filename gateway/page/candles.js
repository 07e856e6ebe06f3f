// Candles of the trades seen since the page opened. This is drawing: prices become pixels, so floats are fine here
// and nowhere else.

import { decimals, display } from "./decimal.js";
import { byId, element, sharpCanvas, theme } from "./dom.js";

const INTERVALS = [1, 5, 15, 60];
/** One-second candles kept; an hour, so that a minute candle chart still fills the panel. */
const SECONDS_KEPT = 3_600;
const STEP = 9;
const AXIS = 74;
const FOOT = 20;
const VOLUME_SHARE = 0.18;

export class Candles {
  constructor(onChange) {
    this.canvas = byId("candles");
    this.seconds = [];
    this.interval = 1;
    this.#makeIntervals(onChange);
    new ResizeObserver(onChange).observe(this.canvas);
  }

  choose(instrument) {
    this.places = decimals(instrument.tick);
    this.seconds.length = 0;
  }

  add(trade) {
    const at = Math.floor(trade.ts / 1e6);
    const price = Number(trade.price);
    const volume = Number(trade.quantity);
    const last = this.seconds.at(-1);
    if (last?.at === at) return merge(last, { high: price, low: price, close: price, volume });
    this.seconds.push({ at, open: price, high: price, low: price, close: price, volume });
    if (this.seconds.length > SECONDS_KEPT) this.seconds.shift();
  }

  paint() {
    const { context, width, height } = sharpCanvas(this.canvas);
    const colours = theme();
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const candles = this.#visible(Math.floor((width - AXIS) / STEP));
    if (candles.length === 0) return empty(context, width, height, colours);
    const plot = { right: width - AXIS, bottom: height - FOOT };
    const scale = priceScale(candles, plot.bottom * (1 - VOLUME_SHARE));
    const lastY = scale.y(candles.at(-1).close);
    this.#grid(context, plot, scale, width, colours, lastY);
    this.#times(context, candles, plot, colours);
    this.#bars(context, candles, plot, scale, colours);
    this.#lastPrice(context, candles.at(-1), plot, scale, width, colours);
  }

  /** The newest `count` candles, with quiet intervals carried flat so that time stays even. */
  #visible(count) {
    const merged = [];
    for (const second of this.seconds) {
      const at = second.at - (second.at % this.interval);
      let last = merged.at(-1);
      if (last?.at === at) {
        merge(last, second);
        continue;
      }
      for (let quiet = 1; last && last.at + this.interval < at && quiet <= count; quiet += 1) {
        const price = last.close;
        last = { at: last.at + this.interval, open: price, high: price, low: price, close: price, volume: 0 };
        merged.push(last);
      }
      merged.push({ ...second, at });
    }
    return merged.slice(-count);
  }

  #grid(context, plot, scale, width, colours, lastY) {
    context.strokeStyle = colours.line;
    context.fillStyle = colours.dim;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    const step = niceStep((scale.high - scale.low) / 5);
    for (let price = Math.ceil(scale.low / step) * step; price <= scale.high; price += step) {
      const y = Math.round(scale.y(price)) + 0.5;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(plot.right, y);
      context.stroke();
      if (Math.abs(y - lastY) < 16) continue; // the last price's own label goes here
      context.fillText(display(price.toFixed(this.places), 0), plot.right + 8, y, width - plot.right - 10);
    }
  }

  #times(context, candles, plot, colours) {
    context.fillStyle = colours.dim;
    context.textAlign = "center";
    const every = 12; // about 108 px apart
    candles.forEach((candle, index) => {
      const slot = Math.floor(candle.at / this.interval);
      if (slot % every !== 0) return;
      const x = this.#x(candles, index, plot);
      if (x < 30) return;
      context.fillText(new Date(candle.at * 1000).toLocaleTimeString([], { hour12: false }), x, plot.bottom + 11);
    });
  }

  #bars(context, candles, plot, scale, colours) {
    const volumeMost = Math.max(...candles.map((candle) => candle.volume));
    candles.forEach((candle, index) => {
      const x = this.#x(candles, index, plot);
      const rises = candle.close >= candle.open;
      const volume = volumeMost ? (candle.volume / volumeMost) * plot.bottom * VOLUME_SHARE * 0.9 : 0;
      context.fillStyle = rises ? colours["buy-soft"] : colours["sell-soft"];
      context.fillRect(x - 3, plot.bottom - volume, 6, volume);
      context.fillStyle = rises ? colours.buy : colours.sell;
      const top = scale.y(Math.max(candle.open, candle.close));
      const bottom = scale.y(Math.min(candle.open, candle.close));
      const wick = scale.y(candle.high);
      context.fillRect(x - 0.5, wick, 1, Math.max(1, scale.y(candle.low) - wick));
      context.fillRect(x - 3, top, 6, Math.max(1, bottom - top));
    });
  }

  #lastPrice(context, last, plot, scale, width, colours) {
    const y = Math.round(scale.y(last.close)) + 0.5;
    const colour = last.close >= last.open ? colours.buy : colours.sell;
    context.strokeStyle = colour;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(plot.right, y);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = colour;
    context.fillRect(plot.right, y - 9, width - plot.right, 18);
    context.fillStyle = "#fff";
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(display(last.close.toFixed(this.places), 0), plot.right + 8, y, width - plot.right - 10);
  }

  #x(candles, index, plot) {
    return Math.round(plot.right - (candles.length - index - 0.5) * STEP);
  }

  #makeIntervals(onChange) {
    const buttons = INTERVALS.map((seconds) => {
      const label = element("label");
      const input = element("input");
      input.type = "radio";
      input.name = "interval";
      input.checked = seconds === this.interval;
      input.addEventListener("change", () => {
        this.interval = seconds;
        onChange();
      });
      label.append(input, element("span", "", seconds < 60 ? `${seconds}s` : "1m"));
      return label;
    });
    byId("intervals").append(...buttons);
  }
}

function merge(into, from) {
  into.high = Math.max(into.high, from.high);
  into.low = Math.min(into.low, from.low);
  into.close = from.close;
  into.volume += from.volume;
}

function priceScale(candles, room) {
  const most = Math.max(...candles.map((candle) => candle.high));
  const least = Math.min(...candles.map((candle) => candle.low));
  const margin = (most - least || most * 0.0002) * 0.12;
  const high = most + margin;
  const low = least - margin;
  return { high, low, y: (price) => 6 + ((high - price) / (high - low)) * (room - 6) };
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

function empty(context, width, height, colours) {
  context.fillStyle = colours.dim;
  context.textAlign = "center";
  context.fillText("Candles grow from the first trade", width / 2, height / 2);
}
