// A film: pictures that play. Everything is here already; nobody is asked while it runs. What is
// on its way from one shot to the next is drawn in each animation frame.

const PACE = 1300; // ms from one event to the next at normal speed
const GLIDE = 550; // ms that memory takes to move
const SPEEDS = [0.5, 1, 2, 4];
const ICONS = {
  play: "M4 2l10 6-10 6z",
  pause: "M4 2h3v12H4zM9 2h3v12H9z",
  back: "M2 2h2.5v12H2zM14 2v12L5.5 8z",
  forward: "M2 2v12l8.5-6zM11.5 2H14v12h-2.5z",
};

const icon = (name) =>
  `<svg aria-hidden="true" width="16" height="16" viewBox="0 0 16 16"><path d="${ICONS[name]}"/></svg>`;
const eased = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function say(node, words) {
  if (node.textContent !== words) node.textContent = words; // a screen reader tells what changes
}

function makeLane(id, patterns) {
  const picture = element("div", { class: "picture" });
  const event = element("code");
  const outcome = element("span");
  const heading = element("h4");
  const root = element(
    "div",
    { class: "lane", role: "group" },
    heading,
    picture,
    element("p", { class: "words", "aria-live": "polite", "aria-atomic": "true" }, event, " ", outcome),
  );
  picture.innerHTML =
    `<svg role="img" aria-labelledby="${id}-title ${id}-text"><title id="${id}-title"></title>` +
    `<desc id="${id}-text"></desc>${patterns}<g></g></svg>`;
  const [svg, title, text, stage] = ["svg", "title", "desc", "g"].map((tag) =>
    picture.querySelector(tag),
  );
  let things = []; // on the page
  let [from, to] = [[], []]; // between which they are
  let shots, scale, width, brush;

  return {
    root,
    load(lane, wholeScale, wholeWidth, pen) {
      [shots, scale, width, brush] = [lane.shots, wholeScale, wholeWidth, pen];
      svg.setAttribute("width", width);
      svg.setAttribute("height", Math.max(...shots.map(sceneHeight)));
      root.setAttribute("aria-label", lane.name);
      title.textContent = heading.textContent = lane.name;
    },
    aim(step) {
      [from, to] = [things, scene(shots[step], scale, width, brush)];
      const shot = shots[step];
      say(event, shot.event);
      say(outcome, shot.outcome);
      text.textContent = `${shot.event} ${shot.outcome}`.trim();
    },
    paint(t) {
      things = t < 1 && from.length ? between(from, to, t) : to;
      stage.innerHTML = drawScene(things, brush);
    },
  };
}

function fillScore(table, lanes, step, last) {
  const names = lanes[0].shots[0].score.map(([name]) => name);
  table.hidden = !names.length;
  table.classList.toggle("final", step === last);
  const row = ({ name, shots }) => {
    const cells = shots[step].score.map(([, value]) => `<td>${escaped(value)}</td>`).join("");
    return `<tr><th scope="row">${escaped(name)}</th>${cells}</tr>`;
  };
  const head = names.map((name) => `<th scope="col">${escaped(name)}</th>`).join("");
  table.innerHTML =
    `<caption>${step === last ? "Score at the end" : "Score so far"}</caption>` +
    `<thead><tr><td></td>${head}</tr></thead><tbody>${lanes.map(row).join("")}</tbody>`;
}

function makeFilm(id, onStep) {
  const stage = element("div");
  const score = element("table", { class: "score" });
  const button = (name, label) => {
    const made = element("button", { type: "button", "aria-label": label, title: label });
    made.innerHTML = icon(name);
    keepKeys(made);
    return made;
  };
  const back = button("back", "Step back");
  const play = button("play", "Play");
  const forward = button("forward", "Step forward");
  const scrubber = element("input", { type: "range", min: 0, step: 1, "aria-label": "Event" });
  const count = element("output");
  const speed = element(
    "select",
    { "aria-label": "Speed" },
    ...SPEEDS.map((one) => element("option", { value: one }, `${one}×`)),
  );
  speed.value = 1;
  keepKeys(scrubber);
  keepKeys(speed);
  const transport = { class: "transport", role: "group", "aria-label": "Film" };
  const root = element("div", { class: "film" }, stage);
  root.append(element("div", transport, back, play, forward, scrubber, count, speed), score);

  let film = null;
  let lanes = [];
  let step = 0;
  let playing = false;
  let since = 0; // when the present step began, and how long its memory takes to move
  let duration = 0;
  let request = null;

  const last = () => film.lanes[0].shots.length - 1;

  function show(glide) {
    since = performance.now();
    duration = calm.matches ? 0 : glide;
    for (const lane of lanes) lane.aim(step);
    scrubber.max = last();
    scrubber.value = step;
    scrubber.setAttribute("aria-valuetext", `${step} of ${last()}: ${film.lanes[0].shots[step].event}`);
    count.textContent = `${step} / ${last()}`;
    fillScore(score, film.lanes, step, last());
    onStep(step);
    if (duration === 0) for (const lane of lanes) lane.paint(1);
    wake();
  }

  function wake() {
    if (request === null && (playing || duration)) request = requestAnimationFrame(run);
  }

  function run(now) {
    request = null;
    const passed = Math.max(0, now - since);
    if (duration) {
      const t = Math.min(1, passed / duration);
      for (const lane of lanes) lane.paint(eased(t));
      if (t === 1) duration = 0;
    }
    if (playing && passed >= PACE / speed.value) {
      if (step === last()) setPlaying(false);
      else go(step + 1);
    }
    wake();
  }

  function go(to) {
    step = Math.min(Math.max(to, 0), last());
    show(Math.min(GLIDE, (0.6 * PACE) / speed.value));
  }

  function setPlaying(on) {
    playing = on;
    play.setAttribute("aria-pressed", on);
    play.innerHTML = icon(on ? "pause" : "play");
    if (on && step === last()) go(0);
    else if (on && step === 0) go(1); // a click is answered at once
    else wake();
  }

  const byHand = (to) => {
    setPlaying(false);
    go(to);
  };
  play.addEventListener("click", () => setPlaying(!playing));
  back.addEventListener("click", () => byHand(step - 1));
  forward.addEventListener("click", () => byHand(step + 1));
  scrubber.addEventListener("input", () => byHand(Number(scrubber.value)));
  scrubber.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault(); // the page would scroll
    setPlaying(!playing);
  });

  return {
    root,
    // Take over a film, at the step where the last one was or, with `atEnd`, at its last.
    load(next, width, pen, atEnd = false) {
      film = next;
      if (lanes.length !== film.lanes.length) {
        lanes = film.lanes.map((_, i) => makeLane(`${id}-lane-${i}`, i ? "" : pen.patterns));
        stage.replaceChildren(...lanes.map((lane) => lane.root));
        setPlaying(false);
      }
      lanes.forEach((lane, i) => lane.load(film.lanes[i], film.scale, width, pen));
      step = Math.min(step, last());
      if (atEnd) go(last());
      else show(0);
    },
    stop: () => cancelAnimationFrame(request),
  };
}
