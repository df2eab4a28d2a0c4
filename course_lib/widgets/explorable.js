// The view of an explorable: it draws what the kernel has sent ahead and computes nothing of Spark.
//
// `_tables` holds the views around one state, `base`: for each control a view for each of its
// positions. While one control at a time moves away from `base`, everything is here already. When
// a control rests, the new state goes to the kernel and tables around it come back.

const REST = 150; // ms without movement after which a control rests
const PATIENCE = 2000; // ms after which a kernel that has not answered is taken to be absent

// ---- Layout: the same rules as course_lib/draw/layout.py ----

const NARROWEST = 0.012;

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const parts = (region) => region.children.filter((child) => extent(child) > 0);
const extent = (region) => sum(parts(region).map(extent)) || region.size;
const least = (region) => Math.max(NARROWEST, sum(parts(region).map(least)));
const levels = (region) =>
  parts(region).length ? 1 + Math.max(...parts(region).map(levels)) : 0;

export const strips = (region) => 3 + levels(region);

export function layout(region, scale = null) {
  if (extent(region) === 0) return [];
  const head = 1 / strips(region);
  return place(region, 0, 0, scale === null ? 1 : extent(region) / scale, head);
}

function place(region, depth, x, width, head) {
  const inside = parts(region);
  const y = depth * head;
  const rectangle = { region, depth, x, y, w: width, h: 1 - y, frame: false, overflow: 0 };
  if (!inside.length) return [rectangle];
  const spans = extent(region);
  const own = region.size === spans ? width : (width * region.size) / spans;
  const placed = [{ ...rectangle, w: own, frame: true, overflow: width - own }];
  widths(inside, width).forEach((partWidth, i) => {
    placed.push(...place(inside[i], depth + 1, x, partWidth, head));
    x += partWidth;
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

// ---- Drawing: SVG as text, since one assignment is the fastest way to replace a picture ----

const STRIP = 28;
const LINE = 18;
const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function pen(palette, font) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = font;
  const known = new Map();
  return {
    fill: (kind) => `light-dark(${palette[kind][0]},${palette[kind][1]})`,
    ink: (kind) => `light-dark(${palette[kind][2]},${palette[kind][3]})`,
    width(text) {
      if (!known.has(text)) known.set(text, context.measureText(text).width);
      return known.get(text);
    },
  };
}

function text(x, y, content, ink, anchor = "middle") {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" style="fill:${ink}">${escaped(content)}</text>`;
}

function box(x, y, w, h, fill, name = "") {
  return `<rect class="${name}" x="${x}" y="${y}" width="${w}" height="${h}" style="fill:${fill}"/>`;
}

function drawTrees(view, width, pen) {
  const scale = view.one_scale ? Math.max(...view.trees.map(extent)) : null;
  let svg = "";
  let top = 1;
  for (const tree of view.trees) {
    const height = STRIP * strips(tree);
    const legend = new Map(); // [kind, how often] by caption
    const explain = (kind, caption) => {
      legend.set(caption, [kind, 1 + (legend.get(caption)?.[1] ?? 0)]);
    };
    let edges = "";
    for (const placed of layout(tree, scale)) {
      const { region } = placed;
      const [x, w] = [1 + placed.x * (width - 2), placed.w * (width - 2)];
      const [y, h] = [top + placed.y * height, placed.h * height];
      svg += `<g data-region="${escaped(region.name)}">`;
      svg += box(x, y, w, h, pen.fill(region.kind), "region");
      if (region.kind === "unassigned") svg += box(x, y, w, h, "url(#unassigned)");
      if (region.used !== null && !placed.frame) {
        const [tank, level] = [y + 2.4 * LINE, Math.min(1, region.used / region.size)];
        svg += box(x + 1, tank, w - 2, h - 2.4 * LINE - 1, "var(--ex-ground)");
        svg += box(x + 1, tank, (w - 2) * level, h - 2.4 * LINE - 1, pen.fill(region.kind));
      }
      if (placed.overflow) {
        edges += `<line class="edge" x1="${x + w}" x2="${x + w}" y1="${y}" y2="${y + h}"/>`;
        explain("alarm", `beyond ${region.name}: ${region.overflow}`);
      }
      const lines = placed.frame
        ? [`${region.name}  ${region.text}`]
        : [region.name, region.text];
      if (Math.max(...lines.map(pen.width)) > w - 8) {
        explain(region.kind, `${region.name} ${region.text}`);
      } else {
        lines.forEach((line, i) => {
          svg += text(x + w / 2, y + 19 + i * LINE, line, pen.ink(region.kind));
        });
      }
      svg += "</g>";
    }
    svg += edges; // above what reaches beyond them
    top += height + 6;
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
  }
  return [svg, top];
}

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

// ---- The kernel's messages ----

function grow(shape, numbers) {
  const [size, written, used = null, usedText = null, overflow = null] = numbers.shift();
  const [name, kind, note, inside] = shape;
  const children = inside.map((one) => grow(one, numbers));
  return { name, kind, note, size, text: written, used, usedText, overflow, children };
}

export function unpack(packed, shapes) {
  if (!packed.trees) return packed;
  const trees = packed.trees.map(({ shape, numbers }) => grow(shapes[shape], [...numbers]));
  return { ...packed, trees };
}

// The view of `chosen`, or null if more than one control has left the tables' base.
function lookUp(tables, chosen) {
  const moved = Object.keys(tables.base).filter((name) => chosen[name] !== tables.base[name]);
  if (moved.length > 1) return null;
  const name = moved[0] ?? Object.keys(tables.base)[0];
  return unpack(tables.views[tables.axes[name][chosen[name]]], tables.shapes);
}

// ---- The widget ----

let count = 0;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// JupyterLab takes the arrow keys and Enter for moving between cells, unless the very element that
// has the focus is so marked.
function keepKeys(focusable) {
  focusable.setAttribute("data-lm-suppress-shortcuts", "true");
}

function makeControl(control, onMove) {
  const id = `ex-control-${++count}`;
  const shown = element("output", { for: id });
  let input;
  if (control.kind === "choice") {
    const options = control.texts.map((one, i) => element("option", { value: i }, one));
    input = element("select", { id }, ...options);
  } else {
    const max = control.texts.length - 1;
    input = element("input", { id, type: "range", min: 0, max, step: 1 });
  }
  input.dataset.control = control.name;
  keepKeys(input);
  input.addEventListener("input", () => onMove(control.name, Number(input.value)));
  const label = element("label", { for: id }, control.label);
  const row = element("div", { class: "control" }, label, input);
  if (control.kind !== "choice") row.append(shown);
  const show = (position) => {
    if (Number(input.value) !== position) input.value = position;
    shown.textContent = control.texts[position];
    input.setAttribute("aria-valuetext", control.texts[position]);
  };
  return { row, show };
}

function fillTable(table, view) {
  const cells = (tag, row) => row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("");
  const body = view.rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("");
  const head = view.head.length ? `<thead><tr>${cells("th", view.head)}</tr></thead>` : "";
  table.innerHTML = `${head}<tbody>${body}</tbody>`;
}

function tableOf(view) {
  const facts = view.facts ?? [];
  if (!view.trees) return { head: [], rows: facts };
  const rows = [];
  const walk = (region, depth, root) => {
    const share = root.size ? `${((100 * region.size) / root.size).toFixed(1)} %` : "-";
    const used = region.usedText === null ? "" : `${region.usedText} used`;
    rows.push(["\u2003".repeat(depth) + region.name, region.text, share, used || region.note]);
    for (const child of region.children) walk(child, depth + 1, root);
    if (region.overflow) {
      const name = `${"\u2003".repeat(depth + 1)}beyond ${region.name}`;
      rows.push([name, region.overflow, "", ""]);
    }
  };
  for (const tree of view.trees) walk(tree, 0, tree);
  rows.push(...facts.map(([name, value]) => [name, value, "", ""]));
  return { head: ["region", "size", "share", ""], rows };
}

function render({ model, el }) {
  const about = model.get("_about");
  let tables = model.get("_tables");
  let chosen = { ...tables.base };
  let asked = null; // what the kernel has been asked for and has not answered yet
  let kernel = model.get("_no_kernel") ? "absent" : "unknown"; // then "present"
  let resting, waiting;
  let shown = null; // the view on the page, as JSON in `drawn`, at the width `drawnWidth`
  let drawn, drawnWidth;
  let width = 0; // 0 until the widget is on the page: before that it has neither width nor font
  let brush = null;

  const root = element("section", { class: "explorable" });
  root.setAttribute("aria-label", about.title);
  root.style.setProperty("--ex-alarm", `light-dark(${about.palette.alarm.slice(0, 2)})`);
  const evidence = element("span", { class: "evidence" });
  root.append(element("header", {}, element("strong", {}, about.title), evidence));

  const controls = {};
  const more = element("details", { class: "more" }, element("summary", {}, "More settings"));
  const main = element("div", { class: "controls" });
  for (const control of about.controls) {
    controls[control.name] = makeControl(control, move);
    (control.more ? more : main).append(controls[control.name].row);
  }
  root.append(main);
  if (more.children.length > 1) root.append(more);

  const id = `ex-picture-${++count}`;
  const frame = element("div", { class: "picture" });
  const sentence = element("p", { class: "sentence", "aria-live": "polite" });
  const problem = element("pre", { class: "problem", hidden: "" });
  const status = element("p", { class: "status", role: "status" });
  const table = element("table");
  const numbers = element("details", {}, element("summary", {}, "Numbers as a table"), table);
  numbers.addEventListener("toggle", () => numbers.open && fillTable(table, tableOf(shown)));
  root.append(frame, problem, sentence, status, numbers);
  root.querySelectorAll("summary").forEach(keepKeys);
  el.append(root);

  function draw() {
    const view = lookUp(tables, chosen);
    for (const name in controls) controls[name].show(chosen[name]);
    if (view === null) return false;
    const content = JSON.stringify(view);
    if (content === drawn && width === drawnWidth) return true; // new tables, same picture
    [shown, drawn, drawnWidth] = [view, content, width];
    evidence.textContent = view.evidence ?? "";
    problem.hidden = !view.problem;
    frame.hidden = Boolean(view.problem);
    if (view.problem) {
      problem.textContent = view.problem;
    } else if (width > 0) {
      brush ??= pen(about.palette, `12px ${getComputedStyle(root).fontFamily}`);
      const [inside, height] = (view.trees ? drawTrees : drawTimeline)(view, width, brush);
      frame.innerHTML =
        `<svg role="img" aria-labelledby="${id}-title ${id}-text" width="${width}" height="${height}">` +
        `<title id="${id}-title">${escaped(view.heading || about.title)}</title>` +
        `<desc id="${id}-text">${escaped(view.sentence)}</desc>` +
        '<defs><pattern id="unassigned" width="8" height="8" patternUnits="userSpaceOnUse" ' +
        'patternTransform="rotate(45)"><line y2="8" class="hatch"/></pattern></defs>' +
        `${inside}</svg>`;
    }
    sentence.textContent = view.sentence;
    if (numbers.open) fillTable(table, tableOf(view));
    return true;
  }

  function move(name, position) {
    chosen = { ...chosen, [name]: position };
    status.textContent = "";
    if (draw()) {
      if (kernel !== "absent") {
        clearTimeout(resting);
        resting = setTimeout(ask, REST);
      }
    } else if (kernel === "absent") {
      returnOthers(name, position);
    } else {
      // These tables do not hold the new state: ask at once, draw when the answer comes.
      ask();
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        kernel = "absent";
        returnOthers(name, position);
      }, PATIENCE);
    }
  }

  function returnOthers(name, position) {
    chosen = { ...tables.base, [name]: position };
    draw();
    status.textContent = "No kernel answers: the other controls are back at their start.";
  }

  const same = (one, other) =>
    other !== null && Object.keys(one).every((name) => one[name] === other[name]);

  function ask() {
    clearTimeout(resting);
    if (asked !== null || same(chosen, tables.base)) return; // one question at a time
    asked = chosen;
    model.set("_chosen", { ...chosen });
    model.save_changes();
  }

  function onTables() {
    tables = model.get("_tables");
    kernel = "present";
    // Tables for a state nobody asked for here: the control was moved from code or elsewhere.
    if (asked === null || !same(tables.base, asked)) chosen = { ...tables.base };
    asked = null;
    if (draw()) {
      clearTimeout(waiting);
      status.textContent = "";
    }
    if (!same(chosen, tables.base)) ask();
  }

  function onMessage(content) {
    if (content === "here") kernel = "present";
  }

  const observer = new ResizeObserver(([entry]) => {
    const wide = Math.floor(entry.contentRect.width);
    if (wide !== width) {
      width = wide;
      draw();
    }
  });
  observer.observe(root);
  width = Math.floor(root.clientWidth);
  draw();

  model.on("change:_tables", onTables);
  model.on("msg:custom", onMessage);
  if (kernel === "unknown") {
    model.send("anyone there?");
    waiting = setTimeout(() => {
      if (kernel === "unknown") kernel = "absent";
    }, PATIENCE);
  }

  return () => {
    observer.disconnect();
    clearTimeout(resting);
    clearTimeout(waiting);
    model.off("change:_tables", onTables);
    model.off("msg:custom", onMessage);
  };
}

export default { render };
