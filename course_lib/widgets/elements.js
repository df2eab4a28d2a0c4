// The pieces of the page that an explorable is made of.

// Labels find what they label by its id. Every widget on a page runs a module of its own, so that
// counting alone would give the same ids to several.
const own = Math.random().toString(36).slice(2);
let count = 0;
const uniqueId = () => `ex-${own}-${++count}`;

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
  const id = uniqueId();
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
  return { row, input, show };
}

function fillTable(table, view) {
  const cells = (tag, row) => row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("");
  const body = view.rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("");
  const head = view.head.length ? `<thead><tr>${cells("th", view.head)}</tr></thead>` : "";
  table.innerHTML = `${head}<tbody>${body}</tbody>`;
}

function tableOf(view) {
  const facts = view.facts ?? [];
  if (view.film) return tableOfFilm(view.film, facts);
  if (view.heat) return tableOfHeat(view.heat);
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
  for (const [name, , , told] of view.holders ?? []) rows.push([name, told, "", ""]);
  for (const [, name] of view.marks ?? []) rows.push([name, "", "", ""]);
  rows.push(...facts.map(([name, value]) => [name, value, "", ""]));
  return { head: ["region", "size", "share", ""], rows };
}

// A line for each step. A lane whose task waited may be at another event than its neighbour, or at
// none.
function tableOfFilm({ lanes }, facts) {
  const rows = lanes[0].shots.map((_, step) => {
    const shots = lanes.map((lane) => lane.shots[step]);
    const event = shots.find((shot) => shot.event)?.event ?? "";
    const told = shots.map((shot) =>
      ["", event].includes(shot.event) ? shot.outcome : `${shot.event}: ${shot.outcome}`,
    );
    return [step, event, ...told];
  });
  rows.push(...facts.map(([name, value]) => ["", name, value, ...lanes.slice(1).map(() => "")]));
  return { head: ["step", "event", ...lanes.map(({ name }) => name)], rows };
}

function tableOfHeat({ x: [across, xs], y: [down, ys], cells }) {
  const rows = cells.map((row, j) => [ys[j], ...row.map(([, told]) => told)]);
  return { head: [`${down}, by ${across}`, ...xs], rows };
}
