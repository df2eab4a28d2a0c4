"""A lesson as one HTML page whose explorables and questions work without a kernel.

    jupyter nbconvert --to lesson notebooks/04_inside_the_executors_heap.ipynb

nbconvert's own pages fetch the widgets' machinery from the network. Here the page brings along the
modules that the notebook itself used, each with the state it was saved in, and needs nothing else.
"""

import copy
import html
import json

from nbconvert.exporters import HTMLExporter

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"

# What a widget sees of the kernel: its saved state, and nobody who answers.
_BOOT = """
const { models, modules } = JSON.parse(document.getElementById("live-widgets").textContent);
const loaded = modules.map(({ esm, css }) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  return import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
});
for (const place of document.querySelectorAll("[data-live-widget]")) {
  const { module, state } = models[place.dataset.liveWidget];
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes() {}, send() {}, on() {}, off() {},
  };
  const widget = (await loaded[module]).default;
  const el = document.createElement("div");
  place.replaceChildren(el);
  await widget.initialize?.({ model });
  await widget.render({ model, el });
}
"""

_TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block footer_js -%}
{%- if resources.live_widgets -%}
<script type="application/json" id="live-widgets">{{ resources.live_widgets }}</script>
<script type="module">{{ resources.live_widgets_boot }}</script>
{%- endif -%}
{%- endblock -%}
"""


class LessonPage(HTMLExporter):
    """An executed notebook as a page: anywidgets live, all else as nbconvert shows it.

    Widgets of other libraries are left to nbconvert.
    """

    raw_template = _TEMPLATE
    export_from_notebook = "Lesson (HTML)"

    def from_notebook_node(self, nb, resources=None, **kw):
        """The page and its resources; `nb` stays as it is."""
        nb = copy.deepcopy(nb)
        for cell in nb.cells:
            # JupyterLab folds these cells away: a question's source holds its answer.
            if cell.metadata.get("jupyter", {}).get("source_hidden"):
                cell.metadata["transient"] = {"remove_source": True}
        resources = self._init_resources(resources)
        live = _bring_to_life(nb)
        # JSON in a script ends where the script does: at the first "</".
        resources["live_widgets"] = json.dumps(live).replace("</", "<\\/") if live else ""
        resources["live_widgets_boot"] = _BOOT
        return super().from_notebook_node(nb, resources, **kw)


def _bring_to_life(nb) -> dict | None:
    """Replace each anywidget's output in `nb` by a place for it; return what is to go there."""
    states = nb.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    models, modules = {}, []
    left = 0
    for output in (output for cell in nb.cells for output in cell.get("outputs", ())):
        view = output.get("data", {}).pop(VIEW, None)
        if view is None:
            continue
        saved = states.get(view["model_id"], {})
        if saved.get("model_module") != "anywidget":
            output["data"][VIEW] = view
            left += view["model_id"] in states
            continue
        state = {k: v for k, v in saved["state"].items() if k not in ("_esm", "_css")}
        module = {"esm": saved["state"]["_esm"], "css": saved["state"].get("_css", "")}
        if module not in modules:
            modules.append(module)
        models[view["model_id"]] = {
            "module": modules.index(module),
            "state": state | {"_no_kernel": True},
        }
        output["data"] = {"text/html": _place(view["model_id"], output)}
    if not left:
        nb.metadata.pop("widgets", None)
    return {"models": models, "modules": modules} if models else None


def _place(model_id: str, output) -> str:
    """The element a widget will fill, holding its static form for readers without scripts."""
    data = output["data"]
    static = data.get("text/html", "")
    if "image/png" in data:
        alt = html.escape(output.get("metadata", {}).get("image/png", {}).get("alt", ""))
        png = data["image/png"].replace("\n", "")
        static = f'<img src="data:image/png;base64,{png}" alt="{alt}" style="max-width: 720px">'
    return f'<div data-live-widget="{model_id}">{static}</div>'
