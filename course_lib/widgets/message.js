// What the kernel sends: see `Sheet` in course_lib/draw/message.py for how it is packed.

const grown = new WeakMap(); // the regions that a message's parts have become, by their places

function grow(place, parts) {
  if (!grown.has(parts)) grown.set(parts, new Map());
  const known = grown.get(parts);
  if (!known.has(place)) {
    const [name, kind, size, text, inside = [], used = null, usedText = null, overflow, note] =
      parts[place];
    const children = inside.map((one) => grow(one, parts));
    known.set(place, {
      name, kind, size, text, children, used, usedText, overflow: overflow ?? null, note: note ?? "",
    });
  }
  return known.get(place);
}

const bars = (packed, parts) => ({ ...packed, trees: packed.trees.map((one) => grow(one, parts)) });

function shot(place, parts) {
  const [picture, event, outcome, score] = parts[place].map((one) => parts[one]);
  return { ...bars(picture, parts), event, outcome, score };
}

export function unpack(packed, parts) {
  if (packed.history) packed = { ...packed, history: unpack(packed.history, parts) };
  if (packed.trees) return bars(packed, parts);
  if (packed.heat) {
    const text = ([shade, place]) => [shade, parts[place]];
    return { ...packed, heat: { ...packed.heat, cells: packed.heat.cells.map((row) => row.map(text)) } };
  }
  if (!packed.film) return packed;
  const lanes = packed.film.lanes.map(({ name, shots }) => ({
    name,
    shots: shots.map((one) => shot(one, parts)),
  }));
  return { ...packed, film: { ...packed.film, lanes } };
}

// The view of `chosen`, or null if more than one control has left the tables' base.
function lookUp(tables, chosen) {
  const moved = Object.keys(tables.base).filter((name) => chosen[name] !== tables.base[name]);
  if (moved.length > 1) return null;
  const name = moved[0] ?? Object.keys(tables.base)[0];
  return unpack(tables.views[tables.axes[name][chosen[name]]], tables.parts);
}
