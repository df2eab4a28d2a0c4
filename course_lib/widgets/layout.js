// Where each region of a tree is drawn: the same rules as course_lib/draw/layout.py. And where it
// is on its way from one picture to the next, which only moving pictures need.

const NARROWEST = 0.012;

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const parts = (region) => region.children.filter((child) => extent(child) > 0);
const extent = (region) => sum(parts(region).map(extent)) || region.size;
const least = (region) => Math.max(NARROWEST, sum(parts(region).map(least)));
const levels = (region) =>
  parts(region).length ? 1 + Math.max(...parts(region).map(levels)) : 0;

const strips = (region) => 3 + levels(region);

// A placed region knows who it is by its `key`, the names from the root down to it, and which
// region its `parent` is and which one stands `before` it there.
export function layout(region, scale = null) {
  if (extent(region) === 0) return [];
  const head = 1 / strips(region);
  const width = scale === null ? 1 : extent(region) / scale;
  return place(region, 0, 0, width, head, { key: region.name, parent: null, before: null });
}

function place(region, depth, x, width, head, who) {
  const inside = parts(region);
  const y = depth * head;
  const rectangle = { ...who, region, depth, x, y, w: width, h: 1 - y, frame: false, overflow: 0 };
  if (!inside.length) return [rectangle];
  const spans = extent(region);
  const own = region.size === spans ? width : (width * region.size) / spans;
  const placed = [{ ...rectangle, w: own, frame: true, overflow: width - own }];
  const shares = widths(inside, width);
  const namesakes = new Map();
  let before = null;
  inside.forEach((part, i) => {
    const count = 1 + (namesakes.get(part.name) ?? 0);
    namesakes.set(part.name, count);
    const key = `${who.key}/${part.name}${count > 1 ? ` ${count}` : ""}`;
    placed.push(...place(part, depth + 1, x, shares[i], head, { key, parent: who.key, before }));
    before = key;
    x += shares[i];
  });
  return placed;
}

function widths(inside, width) {
  const needed = inside.map(least);
  if (sum(needed) >= width) return needed.map((one) => (width * one) / sum(needed));
  const sizes = inside.map(extent);
  const starved = new Set();
  for (;;) {
    const rest = width - sum([...starved].map((i) => needed[i]));
    const total = sum(sizes.filter((_, i) => !starved.has(i)));
    const shared = sizes.map((size, i) => (starved.has(i) ? needed[i] : (rest * size) / total));
    const more = shared.flatMap((one, i) => (one < needed[i] ? [i] : []));
    if (!more.length) return shared;
    more.forEach((i) => starved.add(i));
  }
}

// What lies between two scenes, `t` of the way (0 to 1). A scene is a list of things with a `key`
// and a place. What is in both moves from place to place; what comes grows from the edge where it
// will stand, what goes shrinks to the edge where it would stand. Neighbours touch all the way.
export function between(from, to, t) {
  const [old, young] = [from, to].map((scene) => new Map(scene.map((one) => [one.key, one])));
  const staying = to.map((one) => mix(old.get(one.key) ?? shut(one, young, old), one, t));
  const going = from.filter(({ key }) => !young.has(key));
  const both = [...staying, ...going.map((one) => mix(one, shut(one, old, young), t))];
  return both.sort((a, b) => a.depth - b.depth); // parents stay behind what they hold
}

function shut(one, own, other) {
  let before = one.before;
  while (before && !other.has(before)) before = own.get(before).before;
  const neighbour = other.get(before);
  const x = neighbour ? neighbour.x + neighbour.w : (other.get(one.parent)?.x ?? one.x);
  return { ...one, x, w: 0, wanted: 0, opacity: one.region ? 1 : 0 };
}

function mix(one, other, t) {
  const mixed = { ...other };
  for (const name of ["x", "y", "w", "h", "label", "wanted", "opacity"]) {
    if (name in one) mixed[name] = one[name] + (other[name] - one[name]) * t;
  }
  return mixed;
}
