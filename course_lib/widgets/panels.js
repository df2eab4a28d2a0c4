// Buttons that ask the kernel, each panel with the choices that its buttons go with; and text to
// take away.

function makePanel({ label, buttons, fields, start }, press) {
  const choices = fields.map((field) => makeControl({ ...field, kind: "choice" }, () => {}));
  choices.forEach((choice, i) => choice.show(start[i]));
  const positions = () => choices.map(({ input }) => Number(input.value));
  const made = buttons.map((name) => {
    const button = element("button", { type: "button", "data-press": name }, name);
    keepKeys(button);
    button.addEventListener("click", () => press(name, positions()));
    return button;
  });
  const row = choices.map((choice) => choice.row);
  const group = { class: "ex-panel", role: "group", "aria-label": label };
  return { root: element("div", group, ...row, ...made) };
}

function makeText() {
  const area = element("textarea", { readonly: "", rows: 8, "aria-label": "The trace as text" });
  const copy = element("button", { type: "button" }, "Copy as trace");
  keepKeys(area);
  keepKeys(copy);
  const told = element("span", { role: "status" });
  copy.addEventListener("click", async () => {
    area.select();
    try {
      await navigator.clipboard.writeText(area.value);
      told.textContent = "Copied.";
    } catch {
      told.textContent = "The browser forbids it: the text is selected, press Ctrl+C.";
    }
  });
  const summary = element("summary", {}, "The trace as text");
  const root = element("details", { class: "text" }, summary, area, element("p", {}, copy, " ", told));
  return {
    root,
    show(text) {
      root.hidden = !text;
      if (area.value === text) return;
      area.value = text;
      told.textContent = "";
    },
  };
}
