// Pictures as SVG text: one assignment is the fastest way to replace a picture. The other twin is
// course_lib/draw/figure.py.

const STRIP = 28;
const LINE = 18;
const HOLDER = 24; // a thin bar and the gap to the next
const WAITING = 27; // the line of those who wait
const MARKED = 40; // of a bar's height, from below: above it there are labels

// The pattern of memory that nothing has claimed. Its id is the widget's own: browsers draw nothing
// with a pattern that lies in a hidden picture.
const hatching = (id) =>
  `<defs><pattern id="${id}" width="8" height="8" patternUnits="userSpaceOnUse" ` +
  'patternTransform="rotate(45)"><line y2="8" class="hatch"/></pattern></defs>';

const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function pen(palette, font, hatch) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = font;
  const known = new Map();
  return {
    patterns: hatching(hatch),
    hatch: `url(#${hatch})`,
    shade: (hue, level) => `light-dark(${palette.shades[hue][level].slice(0, 2)})`,
    onShade: (hue, level) => `light-dark(${palette.shades[hue][level].slice(2)})`,
    fill: (kind) => `light-dark(${palette[kind][0]},${palette[kind][1]})`,
    ink: (kind) => `light-dark(${palette[kind][2]},${palette[kind][3]})`,
    width(text) {
      if (!known.has(text)) known.set(text, context.measureText(text).width);
      return known.get(text);
    },
  };
}

function text(x, y, content, ink, anchor = "middle", more = "") {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" style="fill:${ink}"${more}>${escaped(content)}</text>`;
}

function box(x, y, w, h, fill, name = "") {
  return `<rect class="${name}" x="${x}" y="${y}" width="${w}" height="${h}" style="fill:${fill}"/>`;
}

// ---- Regions ----

// The rectangles of a tree in pixels, `top` being the upper edge of its picture.
function tiles(tree, scale, width, top) {
  const height = STRIP * strips(tree);
  return layout(tree, scale).map((placed) => ({
    ...placed,
    x: 1 + placed.x * (width - 2),
    y: top + placed.y * height,
    w: placed.w * (width - 2),
    h: placed.h * height,
    overflow: placed.overflow * (width - 2),
  }));
}

function drawTile({ region, x, y, w, h, frame }, label, pen) {
  let svg = box(x, y, w, h, pen.fill(region.kind), "region");
  if (region.kind === "unassigned") svg += box(x, y, w, h, pen.hatch);
  if (region.used !== null && !frame) {
    const [tank, level] = [y + 2.4 * LINE, Math.min(1, region.used / region.size)];
    svg += box(x + 1, tank, Math.max(0, w - 2), h - 2.4 * LINE - 1, "var(--ex-ground)");
    svg += box(x + 1, tank, Math.max(0, w - 2) * level, h - 2.4 * LINE - 1, pen.fill(region.kind));
  }
  return `<g data-region="${escaped(region.name)}">${svg}${label}</g>`;
}

// The lines of a tile's label, or "" if they find no room.
function labelled({ region, x, y, w }, lines, pen) {
  if (Math.max(...lines.map(pen.width)) > w - 8) return "";
  const line = (one, i) => text(x + w / 2, y + 19 + i * LINE, one, pen.ink(region.kind));
  return lines.map(line).join("");
}

const labelOf = ({ region, frame }) =>
  frame ? [`${region.name}  ${region.text}`] : [region.name, region.text];

function drawTrees(view, width, pen) {
  const scale = view.one_scale ? Math.max(...view.trees.map(extent)) : null;
  let svg = "";
  let top = 1;
  view.trees.forEach((tree, i) => {
    const legend = new Map(); // [kind, how often] by caption
    const explain = (kind, caption) => {
      legend.set(caption, [kind, 1 + (legend.get(caption)?.[1] ?? 0)]);
    };
    let edges = "";
    for (const tile of tiles(tree, scale, width, top)) {
      const { region, x, y, w, h } = tile;
      const label = labelled(tile, labelOf(tile), pen);
      svg += drawTile(tile, label, pen);
      if (tile.overflow) {
        edges += `<line class="edge" x1="${x + w}" x2="${x + w}" y1="${y}" y2="${y + h}"/>`;
        if (region.overflow) explain("alarm", `beyond ${region.name}: ${region.overflow}`);
      }
      if (!label) explain(region.kind, `${region.name} ${region.text}`);
    }
    svg += edges; // above what reaches beyond them
    top += STRIP * strips(tree) + 6;
    if (i === 0) {
      const notes = sideNotes(view, scale ?? extent(tree), width, top - 6, pen);
      svg += notes.map((note) => drawNote(note, pen)).join("");
      top += notesHeight(view);
    }
    let x = 1;
    for (const [caption, [kind, times]] of legend) {
      const label = times > 1 ? `${times} × ${caption}` : caption;
      const wide = pen.width(label) + 36;
      if (x > 1 && x + wide > width) [x, top] = [1, top + LINE];
      svg += box(x, top + 2, 12, 12, pen.fill(kind), "region");
      svg += text(x + 18, top + 12, label, "var(--ex-ink)", "start");
      x += wide;
    }
    top += legend.size ? LINE + 8 : 4;
  });
  return [svg, top];
}

// ---- Who holds a bar that ends at `bottom`, marks on it, and below it who waits ----

const notesHeight = ({ holders = [], marks = [], waiting = [] }) =>
  (holders.length ? 6 + HOLDER * holders.length : 0) +
  (marks.length ? LINE : 0) +
  (waiting.length ? WAITING : 0);

function sideNotes({ holders = [], marks = [], waiting = [] }, scale, width, bottom, pen) {
  const things = [];
  const wide = (size) => (size / scale) * (width - 2);
  let marked = MARKED;
  if (holders.length) {
    holders.forEach(([name, held, wanted, text], i) => {
      const place = { x: 1, y: bottom + 6 + i * HOLDER, w: wide(held), h: HOLDER - 4 };
      const rest = Math.min(wide(wanted), width - 2 - wide(held));
      const key = `holder ${name}`;
      things.push({ key, holder: `${name}  ${text}`, ...place, wanted: rest, full: width - 2 });
    });
    marked = 6 + HOLDER * holders.length;
    bottom += marked;
  }
  let taken = 0; // no label reaches into the one to its left
  for (const [size, name] of [...marks].sort((a, b) => a[0] - b[0])) {
    const [x, long] = [1 + wide(size), pen.width(name)];
    const label = Math.min(Math.max(x - long / 2, taken), width - long);
    taken = label + long + 12;
    const key = `mark ${marks.findIndex((mark) => mark[1] === name)}`;
    things.push({ key, mark: name, x, y: bottom - marked, w: 0, h: marked, label });
  }
  if (marks.length) bottom += LINE;
  let x = 1 + pen.width("waiting") + 10;
  const chips = waiting.map((name) => {
    const chip = { key: `waiting ${name}`, chip: name, x, y: bottom + 5, w: pen.width(name) + 16, h: 20 };
    x += chip.w + 6;
    return chip;
  });
  if (chips.length) things.push({ key: "waiting", word: "waiting", x: 1, y: bottom + 5, w: 0, h: 20 });
  const fitting = chips.filter((chip) => chip.x + chip.w <= width - 20);
  things.push(...fitting);
  if (fitting.length < chips.length) {
    things.push({ ...chips[fitting.length], key: "more who wait", chip: undefined, word: "…", w: 0 });
  }
  return things.map((one) => ({ ...one, depth: 99, opacity: 1 }));
}

function drawNote(note, pen) {
  const { holder, mark, chip, word, x, y, w, h, label, opacity } = note;
  let svg;
  if (holder !== undefined) {
    const dashed = `x="${x + w}" y="${y}" width="${note.wanted}" height="${h}"`;
    svg =
      box(x, y, note.full, h, "var(--ex-ground)", "empty") +
      box(x, y, w, h, pen.fill("execution")) +
      `<rect class="chip" ${dashed} style="stroke:${pen.fill("execution")}"/>` +
      text(x + note.full - 6, y + 14, holder, "var(--ex-ink)", "end", ' class="halo"');
  } else if (mark !== undefined) {
    svg =
      `<line class="mark under" x1="${x}" x2="${x}" y1="${y}" y2="${y + h + 4}"/>` +
      `<line class="mark" x1="${x}" x2="${x}" y1="${y}" y2="${y + h + 4}"/>` +
      text(label, y + h + 16, mark, "var(--ex-ink)", "start");
  } else if (chip !== undefined) {
    svg =
      `<rect class="chip" x="${x}" y="${y}" width="${w}" height="${h}" rx="3" style="stroke:${pen.fill("execution")}"/>` +
      text(x + w / 2, y + 14, chip, "var(--ex-ink)");
  } else {
    svg = text(x, y + 14, word, "var(--ex-ink)", "start");
  }
  return `<g opacity="${opacity}">${svg}</g>`;
}

// ---- Scenes of a film: lists of things with a key and a place ----

function scene(shot, scale, width, pen) {
  const things = [];
  let top = 1;
  shot.trees.forEach((tree, i) => {
    for (const tile of tiles(tree, scale, width, top)) {
      // Two trees of one shot may have regions of the same name.
      const [key, parent, before] = [tile.key, tile.parent, tile.before].map(
        (one) => one && `${i}:${one}`,
      );
      things.push({ ...tile, key, parent, before });
    }
    top += STRIP * strips(tree) + 6;
  });
  return [...things, ...sideNotes(shot, scale, width, top - 6, pen)];
}

const sceneHeight = (shot) =>
  sum(shot.trees.map((tree) => STRIP * strips(tree) + 6)) + notesHeight(shot);

function drawScene(things, pen) {
  return things
    .map((thing) => (thing.region ? drawTile(thing, tightLabel(thing, pen), pen) : drawNote(thing, pen)))
    .join("");
}

// In a film nothing is named elsewhere: a label that finds no room gives up its size, then turns.
function tightLabel(tile, pen) {
  const { region, frame, x, y, w, h } = tile;
  const flat = labelled(tile, labelOf(tile), pen) || labelled(tile, [region.name], pen);
  const told = `<title>${escaped(region.name)}, ${escaped(region.text)}</title>`;
  if (flat || frame || w < 15 || pen.width(region.name) > h - 8) return flat + told;
  const [across, down] = [x + w / 2 + 4, y + h / 2];
  const turned = ` transform="rotate(-90 ${across} ${down})"`;
  return text(across, down, region.name, pen.ink(region.kind), "middle", turned) + told;
}

// ---- Memory over time ----

function drawTimeline({ timeline }, width, pen) {
  const [left, right, top, bottom] = [84, 12, 30, 210];
  const x = (moment) => left + (moment * (width - left - right)) / 1000;
  const y = (size) => bottom - (size * (bottom - top)) / 1000;
  let svg = "";
  for (const [size, name] of timeline.sizes) {
    svg += `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(size)}" y2="${y(size)}"/>`;
    svg += text(left - 6, y(size) + 4, name, "var(--ex-faint)", "end");
  }
  for (const [moment, name] of timeline.moments) {
    svg += text(x(moment), bottom + 18, name, "var(--ex-faint)");
  }
  for (const [, kind, numbers] of timeline.series) {
    let path = "";
    for (let i = 0; i < numbers.length; i += 2) {
      path += `${i ? "L" : "M"}${x(numbers[i]).toFixed(1)} ${y(numbers[i + 1]).toFixed(1)}`;
    }
    svg += `<path class="line" d="${path}" style="stroke:${pen.fill(kind)}"/>`;
  }
  for (const [size, name] of timeline.limits) {
    svg += `<line class="limit" x1="${left}" x2="${width - right}" y1="${y(size)}" y2="${y(size)}"/>`;
    svg += text(width - right, y(size) - 4, name, "var(--ex-alarm)", "end");
  }
  for (const [moment, name] of timeline.events) {
    const at = x(moment);
    svg += `<path class="event" d="M${at} ${bottom}l4 7h-8z"><title>${escaped(name)}</title></path>`;
  }
  let at = left;
  const events = [...new Set(timeline.events.map(([, name]) => name))];
  for (const [label, kind] of [...timeline.series, ...events.map((name) => [`▲ ${name}`])]) {
    if (kind) svg += box(at, 6, 12, 12, pen.fill(kind), "region");
    svg += text(at + (kind ? 18 : 0), 16, label, "var(--ex-ink)", "start");
    at += pen.width(label) + 40;
  }
  return [svg, bottom + 26];
}

// ---- Heat maps ----

const CELL = 22;

function drawHeat({ heat }, width, pen) {
  const [[across, xs], [down, ys]] = [heat.x, heat.y];
  const left = 18 + Math.max(...ys.map(pen.width));
  const wide = (width - left - 1) / xs.length;
  const fits = Math.max(...heat.cells.flat().map(([, told]) => pen.width(told))) < wide - 4;
  const top = 22;
  let svg = text(1, 14, `${down} (down)`, "var(--ex-faint)", "start");
  heat.cells.forEach((row, j) => {
    const y = top + j * CELL;
    svg += text(left - 8, y + 15, ys[j], "var(--ex-ink)", "end");
    row.forEach(([shade, told], i) => {
      const x = left + i * wide;
      const least = told === heat.least;
      const where = `${down} ${ys[j]}, ${across} ${xs[i]}: ${told}`;
      svg += `<g>${box(x, y, wide, CELL, pen.shade(heat.hue, shade), "cell")}`;
      if (least) svg += `<rect class="least" x="${x + 2}" y="${y + 2}" width="${wide - 4}" height="${CELL - 4}"/>`;
      if (fits) svg += text(x + wide / 2, y + 15, told, pen.onShade(heat.hue, shade));
      svg += `<title>${escaped(where)}</title></g>`;
    });
  });
  let bottom = top + CELL * ys.length;
  // Where a film is: moved from column to column, and hidden where there is no film.
  svg += `<path class="playhead" hidden data-left="${left}" data-wide="${wide}" d="M-4 12h8l-4 7z"/>`;
  const every = 1 + Math.floor(Math.max(...xs.map(pen.width)) / (wide - 4));
  xs.forEach((name, i) => {
    if (i % every === 0) svg += text(left + (i + 0.5) * wide, bottom + 15, name, "var(--ex-ink)");
  });
  svg += text(width - 1, bottom + 32, `${across} (across)`, "var(--ex-faint)", "end");
  let x = 1;
  for (const [shade, told] of heat.scale) {
    svg += box(x, bottom + 42, 12, 12, pen.shade(heat.hue, shade), "region");
    svg += text(x + 18, bottom + 52, told, "var(--ex-ink)", "start");
    x += pen.width(told) + 36;
  }
  if (heat.least !== null) {
    svg += `<rect class="least" x="${x}" y="${bottom + 42}" width="12" height="12"/>`;
    svg += text(x + 18, bottom + 52, "the least", "var(--ex-ink)", "start");
  }
  return [svg, bottom + 62];
}
