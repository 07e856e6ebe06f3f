// Cumulative depth around the mid price, drawn as two steps. Drawing only, so floats are fine.

import { decimals, display, text } from "./decimal.js";
import { byId, sharpCanvas, theme } from "./dom.js";

const LEVELS_MOST = 200;
const FOOT = 18;

export class DepthCurve {
  constructor(market, onChange) {
    this.market = market;
    this.canvas = byId("depth-curve");
    new ResizeObserver(onChange).observe(this.canvas);
  }

  choose(instrument) {
    this.places = decimals(instrument.tick);
  }

  paint() {
    const { context, width, height } = sharpCanvas(this.canvas);
    const { bids, asks } = this.market.book;
    if (!bids.best || !asks.best) return;
    const left = steps(bids);
    const right = steps(asks);
    const middle = (Number(bids.best.price) + Number(asks.best.price)) / 2;
    // The nearer end decides, so that one lonely far order does not flatten everything.
    const reach = Math.min(middle - left.at(-1).price, right.at(-1).price - middle) || middle * 0.001;
    const view = { width, height: height - FOOT, middle, reach };
    view.most = Math.max(depthWithin(left, view), depthWithin(right, view)) * 1.08;
    const colours = theme();
    curve(context, left, view, colours.buy, colours["buy-soft"]);
    curve(context, right, view, colours.sell, colours["sell-soft"]);
    this.#labels(context, view, height, colours, bids.best.units + asks.best.units);
  }

  #labels(context, view, height, colours, twiceMiddle) {
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.fillStyle = colours.dim;
    const y = height - 5;
    context.textAlign = "left";
    context.fillText(display((view.middle - view.reach).toFixed(this.places), 0), 8, y);
    context.textAlign = "right";
    context.fillText(display((view.middle + view.reach).toFixed(this.places), 0), view.width - 8, y);
    context.textAlign = "center";
    context.fillStyle = colours.text;
    context.fillText(display(text(twiceMiddle / 2n), this.places), view.width / 2, y);
  }
}

/** Prices from the best outwards with the depth reached at each. */
function steps(side) {
  const points = [];
  let depth = 0;
  for (let index = side.levels.length - 1; index >= 0 && points.length < LEVELS_MOST; index -= 1) {
    depth += Number(side.levels[index].quantity);
    points.push({ price: Number(side.levels[index].price), depth });
  }
  return points;
}

function depthWithin(points, view) {
  const inside = points.filter((point) => Math.abs(point.price - view.middle) <= view.reach);
  return inside.at(-1)?.depth ?? 0;
}

function curve(context, points, view, line, fill) {
  const x = (price) => view.width / 2 + ((price - view.middle) / view.reach) * (view.width / 2);
  const y = (depth) => view.height - (depth / view.most) * view.height;
  const first = x(points[0].price);
  const edge = first < view.width / 2 ? 0 : view.width;
  context.beginPath();
  context.moveTo(first, view.height);
  let depth = 0;
  for (const point of points) {
    context.lineTo(x(point.price), y(depth));
    context.lineTo(x(point.price), y(point.depth));
    depth = point.depth;
  }
  context.lineTo(edge, y(depth));
  context.strokeStyle = line;
  context.lineWidth = 1.5;
  context.stroke();
  context.lineTo(edge, view.height);
  context.closePath();
  context.fillStyle = fill;
  context.fill();
}
