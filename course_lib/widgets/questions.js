// Questions with explained answers. All explanations are in the model, so that answering needs no
// kernel; they enter the page only once an answer is committed.

const UNANSWERED = -1;
let groups = 0; // the radio buttons of one question share a name that no other in the page has

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** What takes keys: JupyterLab would otherwise take the arrow keys and Enter for its cells. */
function control(tag, properties, ...children) {
  const node = element(tag, properties, ...children);
  node.dataset.lmSuppressShortcuts = "true";
  return node;
}

function markup(tag, html, className = "") {
  return element(tag, { innerHTML: html, className });
}

function mark(right) {
  const sign = element("span", { className: "mark", textContent: right ? "✓" : "✗" });
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", right ? "Right" : "Not right");
  return sign;
}

function explained({ text, explanation, right }) {
  const answer = markup("strong", text);
  return [mark(right), element("div", {}, answer, markup("p", explanation))];
}

/** One question: `show(answer)` draws its state, `commit(answer)` is called for the learner. */
function questionView({ text, options }, label, commit) {
  const name = `course-question-${groups++}`;
  const radios = options.map((_, i) => control("input", { type: "radio", name, value: i }));
  const button = control("button", { type: "submit" }, "Commit to this answer");
  const choices = element(
    "fieldset",
    {},
    markup("legend", label + text),
    ...options.map((option, i) => element("label", {}, radios[i], markup("span", option.text))),
    button,
  );
  const feedback = element("div", { className: "feedback" });
  feedback.setAttribute("aria-live", "polite");
  const all = element("details");
  const form = element("form", {}, choices, feedback, all);

  const selected = () => radios.findIndex((radio) => radio.checked);
  form.addEventListener("change", () => (button.disabled = selected() === UNANSWERED));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    commit(selected());
    all.querySelector("summary").focus(); // the button that had the focus is gone
  });

  function show(answer) {
    const open = answer === UNANSWERED;
    choices.disabled = !open;
    button.hidden = !open;
    all.hidden = open;
    all.open = false;
    radios.forEach((radio, i) => (radio.checked = i === answer));
    button.disabled = true;
    feedback.replaceChildren();
    all.replaceChildren();
    if (open) return;
    const own = options[answer];
    const className = `answer ${own.right ? "right" : "wrong"}`;
    feedback.append(element("div", { className }, ...explained(own)));
    all.append(
      control("summary", {}, "All answers explained"),
      ...options.map((option) => element("div", { className: "answer" }, ...explained(option))),
    );
  }

  return { form, show, focus: () => radios[0].focus() };
}

function render({ model, el }) {
  const items = model.get("items");
  const scored = model.get("scored");
  const setAnswers = (answers) => {
    model.set("answers", answers);
    model.save_changes();
    update(); // an exported page has nobody who would report the change
  };
  const questions = items.map((item, i) =>
    questionView(item, scored ? `${i + 1}. ` : "", (answer) =>
      setAnswers(model.get("answers").with(i, answer)),
    ),
  );
  const result = element("p", { className: "result" });
  result.setAttribute("role", "status");
  const again = control("button", { type: "button" }, "Take it again");
  again.addEventListener("click", () => {
    setAnswers(items.map(() => UNANSWERED));
    questions[0].focus();
  });

  const heading = element("p", { className: "heading", textContent: model.get("heading") });
  const root = element("section", { className: "course-questions" }, heading);
  root.append(...questions.map((question) => question.form));
  if (scored) root.append(result, again);
  root.setAttribute("aria-label", model.get("heading"));

  let shown = [];
  function update() {
    const answers = model.get("answers");
    answers.forEach((answer, i) => answer === shown[i] || questions[i].show(answer));
    shown = answers;
    const finished = !answers.includes(UNANSWERED);
    const right = answers.filter((answer, i) => items[i].options[answer]?.right).length;
    result.textContent = finished ? `You got ${right} of ${items.length} right.` : "";
    again.hidden = !finished;
  }
  update();
  model.on("change:answers", update);
  el.append(root);
  return () => model.off("change:answers", update);
}

export default { render };
