"""An explorable: a few controls, one mechanism, one picture that follows at once.

A subclass says what its controls are and what each state looks like; this module sends that ahead
to the browser and ``explorable.js`` draws it. Moving a control asks nobody: the views for the
whole range of every control around the present state are already there. A view may be a film,
which then plays in the browser alone.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anywidget
import traitlets

from course_lib.draw.heatmap import Heatmap
from course_lib.draw.message import Sheet
from course_lib.draw.palette import ALARM, PALETTE, Kind, shades
from course_lib.draw.picture import Shown, table

_HERE = Path(__file__).parent
# One module in the browser, several files here, the later using the earlier.
_SCRIPTS = ("elements", "layout", "drawing", "message", "film", "panels", "explorable")


@dataclass(frozen=True)
class Control:
    """One control: the state's key, what a reader sees, and the values it steps through.

    `text` writes a value for the reader. `kind` is ``"slider"`` or ``"choice"``. With `more` it
    lies in a fold below the main controls.
    """

    name: str
    label: str
    values: Sequence
    text: Callable[[object], str] = str
    kind: str = "slider"
    more: bool = False

    def index(self, value) -> int:
        """The position of a value. Raises ValueError for one that the control does not have."""
        for i, one in enumerate(self.values):
            if one == value and type(one) is type(value):
                return i
        allowed = ", ".join(map(repr, self.values))
        raise ValueError(f"{self.name} cannot be {value!r}; it is one of {allowed}")


@dataclass(frozen=True)
class View:
    """What a state looks like: a picture or film and one sentence, or why there is none.

    `problem` is the complaint with which Spark refuses the state. `facts` are further numbers for
    the table, as (name, text) pairs. `history` is the whole of a film in one picture: a heat map
    with a column for each step.
    """

    picture: Shown | None
    sentence: str
    facts: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    history: Heatmap | None = None

    def __post_init__(self):
        if bool(self.picture) == bool(self.problem):
            raise ValueError("a view has either a picture or a problem")

    @classmethod
    def refused(cls, problem: object) -> "View":
        """The view of a state that Spark refuses, with Spark's own words."""
        return cls(None, "Spark does not start with these settings.", problem=str(problem))

    def table(self) -> str:
        """The numbers as text, or the complaint."""
        if self.picture is None:
            return f"{self.sentence}\n{self.problem}"
        tables = [self.picture.table()]
        if self.facts:
            tables.append(table([("also", ""), *self.facts]))
        if self.history:
            tables.append(self.history.table())
        return "\n\n".join([*tables, self.sentence])


@dataclass(frozen=True)
class Panel:
    """Buttons of an explorable that is played, and the choices that each of them goes with.

    The choices begin at the values in `start`, by name.
    """

    label: str
    buttons: tuple[str, ...]
    fields: tuple[Control, ...] = ()
    start: Mapping[str, object] = field(default_factory=dict)


class Explorable(anywidget.AnyWidget):
    """Controls and a picture that follows them. Subclasses give `title`, `controls` and `view`.

    One that is played, not only looked at, also has `panels` and says in `act` what their buttons
    do: each press asks the kernel, once. It may have a `text` to take away.

    Starting values are keyword arguments, named as the controls are; without one, a control
    starts at the value in `start`. Raises TypeError for a name that no control has and ValueError
    for a value that its control does not have.
    """

    title: str
    controls: tuple[Control, ...]
    start: Mapping[str, object]
    panels: tuple[Panel, ...] = ()

    _esm = "\n".join((_HERE / f"{name}.js").read_text("utf-8") for name in _SCRIPTS)
    _css = _HERE / "explorable.css"

    # Positions of the controls, by name. The browser writes it when a control rests.
    _chosen = traitlets.Dict().tag(sync=True)
    # The views around `_chosen`, see `_tables_for`. Only Python writes it.
    _tables = traitlets.Dict().tag(sync=True)
    # What never changes: title, controls, colours.
    _about = traitlets.Dict().tag(sync=True)

    def __init__(self, **start):
        self._by_name = {control.name: control for control in self.controls}
        chosen = self._positions(dict(self.start) | start)
        super().__init__(_about=self._describe_self())
        self._chosen = chosen
        self._follow()
        self.observe(lambda _: self._follow(), "_chosen")
        self.on_msg(self._answer)

    def view(self, state: Mapping[str, object]) -> View:
        """What a state looks like. Pure: the same state always gives the same view."""
        raise NotImplementedError(f"{type(self).__name__} does not say what a state looks like")

    def act(self, button: str, values: Mapping[str, object]) -> None:
        """Do what a button says, with the `values` of its panel's fields.

        Raises ValueError, in words for the reader, for what cannot be done.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what its buttons do")

    @property
    def text(self) -> str:
        """What a reader may copy; nothing unless a subclass has something."""
        return ""

    @property
    def state(self) -> dict[str, object]:
        """The present value of each control, by name."""
        return self._values(self._chosen)

    def move(self, **values) -> None:
        """Set controls from code; the browser follows."""
        self._chosen = dict(self._chosen) | self._positions(values)

    def figure(self):
        """The present picture as a matplotlib Figure."""
        view = self.view(self.state)
        if view.picture is not None:
            return view.picture.figure()
        from course_lib.draw.figure import draw_refusal  # matplotlib is loaded when first needed

        return draw_refusal(self.title, view.problem)

    def table(self) -> str:
        """The present numbers as a text table."""
        return self.view(self.state).table()

    def _positions(self, values: Mapping[str, object]) -> dict[str, int]:
        unknown = [name for name in values if name not in self._by_name]
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no control {unknown[0]!r}; "
                f"it has {', '.join(self._by_name)}"
            )
        return {name: self._by_name[name].index(value) for name, value in values.items()}

    def _values(self, positions: Mapping[str, int]) -> dict[str, object]:
        return {name: self._by_name[name].values[i] for name, i in positions.items()}

    @traitlets.validate("_chosen")
    def _check(self, proposal) -> dict[str, int]:
        positions = proposal["value"]
        for control in self.controls:
            position = positions.get(control.name)
            if not isinstance(position, int) or not 0 <= position < len(control.values):
                raise traitlets.TraitError(f"{control.name} has no position {position!r}")
        return {control.name: positions[control.name] for control in self.controls}

    def _answer(self, _widget, content, _buffers) -> None:
        """The browser asks whether a kernel listens, or a button was pressed."""
        if content == "anyone there?":
            self.send("here")
        elif isinstance(content, dict) and "press" in content:
            self._press(content["press"], content["with"])

    def _press(self, button: str, positions: Sequence[int]) -> None:
        panel = next(panel for panel in self.panels if button in panel.buttons)
        values = {
            one.name: one.values[position]
            for one, position in zip(panel.fields, positions, strict=True)
        }
        try:
            self.act(button, values)
        except ValueError as refusal:
            self.send({"refused": str(refusal)})
        else:
            self._follow()

    def _follow(self) -> None:
        self._tables = self._tables_for(self._chosen)

    def _tables_for(self, base: Mapping[str, int]) -> dict:
        """The views for the whole range of each control, the others staying at `base`.

        `axes` gives for each control the number of a view for each of its positions. Views that
        are equal are sent once, and so are the names in their trees.
        """
        sheet, views, numbers = Sheet(), [], {}

        def number(positions: Mapping[str, int]) -> int:
            packed = self._pack(self.view(self._values(positions)), sheet)
            key = json.dumps(packed)
            if key not in numbers:
                numbers[key] = len(views)
                views.append(packed)
            return numbers[key]

        axes = {
            control.name: [
                number(dict(base) | {control.name: i}) for i in range(len(control.values))
            ]
            for control in self.controls
        }
        tables = {"base": dict(base), "axes": axes, "views": views, "parts": sheet.parts}
        return tables | {"text": self.text} if self.text else tables

    @staticmethod
    def _pack(view: View, sheet: Sheet) -> dict:
        packed = {"sentence": view.sentence}
        if view.picture is not None:
            packed |= sheet.pack(view.picture)
        if view.facts:
            packed["facts"] = [list(fact) for fact in view.facts]
        if view.problem:
            packed["problem"] = view.problem
        if view.history is not None:
            packed["history"] = sheet.pack(view.history)
        return packed

    def _describe_self(self) -> dict:
        return {
            "title": self.title,
            "controls": [_described(control) for control in self.controls],
            "panels": [
                {
                    "label": panel.label,
                    "buttons": list(panel.buttons),
                    "fields": [_described(one) for one in panel.fields],
                    "start": [one.index(panel.start[one.name]) for one in panel.fields],
                }
                for panel in self.panels
            ],
            "palette": {
                **{name: _fills(kind) for name, kind in (PALETTE | {"alarm": ALARM}).items()},
                "shades": {
                    hue: [_fills(shade) for shade in shades(hue)] for hue in ("alarm", "execution")
                },
            },
        }

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        """The widget, and for places without widgets its present picture and table."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        view = self.view(self.state)
        from course_lib.draw.figure import png

        data["image/png"] = base64.b64encode(png(self.figure())).decode()
        data["text/plain"] = view.table()
        told = view.picture.describe() if view.picture else f"{view.sentence} {view.problem}"
        return data, metadata | {"image/png": {"alt": f"{self.title}. {told}"}}


def _fills(kind: Kind) -> list[str]:
    """Fill and ink on light and on dark ground."""
    return [kind.light, kind.dark, kind.text("light"), kind.text("dark")]


def _described(control: Control) -> dict:
    return {
        "name": control.name,
        "label": control.label,
        "texts": [control.text(value) for value in control.values],
        "kind": control.kind,
        "more": control.more,
    }
