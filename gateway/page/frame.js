// Painting happens here and nowhere else, at most once per animation frame, however many messages arrive.
// A part says it is dirty; the next frame paints every dirty part once. With nothing dirty no frame is asked for.

const dirty = new Set();
let waiting = false;

/** `part` is anything with a `paint()` method. */
export function markDirty(part) {
  dirty.add(part);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(paintAll);
}

function paintAll() {
  waiting = false;
  const parts = [...dirty];
  dirty.clear();
  for (const part of parts) part.paint();
}
