// The view of an explorable: it draws what the kernel has sent ahead and computes nothing of Spark.
//
// `_tables` holds the views around one state, `base`: for each control a view for each of its
// positions. While one control at a time moves away from `base`, everything is here already. When
// a control rests, the new state goes to the kernel and tables around it come back.
//
// elements.js, layout.js, drawing.js, message.js, film.js and panels.js come before this in one
// module.

const REST = 150; // ms without movement after which a control rests
const PATIENCE = 2000; // ms after which a kernel that has not answered is taken to be absent

function render({ model, el }) {
  const about = model.get("_about");
  let tables = model.get("_tables");
  let chosen = { ...tables.base };
  let asked = null; // what the kernel has been asked for and has not answered yet
  let kernel = model.get("_no_kernel") ? "absent" : "unknown"; // then "present"
  let resting, waiting;
  let shown = null; // the view on the page, drawn at the width `drawnWidth`
  let drawnWidth;
  let width = 0; // 0 until the widget is on the page: before that it has neither width nor font
  let brush = null;
  let film = null; // what plays films, once there is one
  let pressed = false; // a button, and the kernel has not answered yet

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

  const panels = about.panels.map((panel) => makePanel(panel, press));
  root.append(...panels.map((panel) => panel.root));

  const id = uniqueId();
  const frame = element("div", { class: "picture" });
  const screen = element("div", { hidden: "" });
  const history = element("div", { class: "picture", hidden: "" });
  const sentence = element("p", { class: "sentence", "aria-live": "polite" });
  const problem = element("pre", { class: "problem", hidden: "" });
  const status = element("p", { class: "status", role: "status" });
  const table = element("table");
  const numbers = element("details", {}, element("summary", {}, "Numbers as a table"), table);
  numbers.addEventListener("toggle", () => numbers.open && fillTable(table, tableOf(shown)));
  const text = makeText();
  root.append(frame, screen, history, problem, sentence, numbers, text.root);
  (panels.length ? frame : numbers).before(status); // what a button led to stands by the buttons
  root.querySelectorAll("summary").forEach(keepKeys);
  el.append(root);

  // Draw the view of what is chosen; false if it is not here. New tables may hold what is shown
  // already: then it stays as it is, and a film plays on.
  function draw(newTables = false) {
    const view = lookUp(tables, chosen);
    for (const name in controls) controls[name].show(chosen[name]);
    text.show(tables.text ?? "");
    if (view === null) return false;
    if (newTables && width === drawnWidth && JSON.stringify(view) === JSON.stringify(shown)) {
      return true;
    }
    [shown, drawnWidth] = [view, width];
    evidence.textContent = view.evidence ?? "";
    problem.hidden = !view.problem;
    screen.hidden = !view.film;
    history.hidden = !view.history;
    frame.hidden = Boolean(view.problem || view.film);
    if (view.problem) {
      problem.textContent = view.problem;
    } else if (width > 0) {
      brush ??= pen(about.palette, `12px ${getComputedStyle(root).fontFamily}`, `${id}-hatch`);
      if (view.film) playFilm(view);
      else drawPicture(view, frame, id);
    }
    sentence.textContent = view.sentence;
    if (numbers.open) fillTable(table, tableOf(view));
    return true;
  }

  function drawPicture(view, place, called) {
    const make = view.trees ? drawTrees : view.heat ? drawHeat : drawTimeline;
    const [inside, height] = make(view, width, brush);
    const patterns = view.trees ? brush.patterns : "";
    place.innerHTML =
      `<svg role="img" aria-labelledby="${called}-title ${called}-text" width="${width}" height="${height}">` +
      `<title id="${called}-title">${escaped(view.heading || about.title)}</title>` +
      `<desc id="${called}-text">${escaped(view.sentence ?? "")}</desc>${patterns}${inside}</svg>`;
  }

  function playFilm(view) {
    if (film === null) {
      film = makeFilm(id, showStep);
      screen.append(film.root);
    }
    if (view.history) drawPicture(view.history, history, `${id}-history`);
    film.load(view.film, width, brush, pressed);
    pressed = false;
  }

  function showStep(step) {
    const playhead = history.querySelector(".playhead");
    if (playhead === null) return;
    const { left, wide } = playhead.dataset;
    playhead.removeAttribute("hidden");
    playhead.setAttribute("transform", `translate(${Number(left) + (step + 0.5) * wide})`);
  }

  // A button of a panel: what it does is for the kernel to say. The film that comes back is shown
  // at its end.
  function press(button, positions) {
    if (kernel === "absent") {
      status.textContent = "No kernel answers: the buttons need one.";
      return;
    }
    status.textContent = "";
    pressed = true;
    model.send({ press: button, with: positions });
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (pressed) status.textContent = "No kernel answers yet.";
    }, PATIENCE);
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
    if (draw(true)) {
      clearTimeout(waiting);
      status.textContent = "";
    }
    if (!same(chosen, tables.base)) ask();
  }

  function onMessage(content) {
    if (content === "here") kernel = "present";
    if (content.refused) {
      pressed = false;
      status.textContent = content.refused;
    }
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
    film?.stop();
    clearTimeout(resting);
    clearTimeout(waiting);
    model.off("change:_tables", onTables);
    model.off("msg:custom", onMessage);
  };
}

export default { render };
