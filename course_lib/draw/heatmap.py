"""A heat map: one number for each pair of values of two settings."""

from collections.abc import Callable
from dataclasses import dataclass

from course_lib.draw.palette import Kind, shades
from course_lib.draw.picture import Shown


@dataclass(frozen=True)
class Axis:
    """A side of a heat map: the setting, and the values it takes, as text."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Heatmap(Shown):
    """Numbers as shades, the stronger the more; no shade at all is nothing.

    `values` are rows from top to bottom, one for each value of `y`; `text` writes a number for the
    reader. `hue` says what the numbers are: a kind of memory, or ``"alarm"`` for what nobody wants.
    Of that, the cells with the least are framed, unless they are many.

    Raises ValueError for rows that do not fit the axes, for numbers below zero and for a hue that
    the palette does not have.
    """

    x: Axis
    y: Axis
    values: tuple[tuple[float, ...], ...]
    text: Callable[[float], str] = str
    hue: str = "alarm"

    def __post_init__(self):
        super().__post_init__()
        shades(self.hue)
        shape = [len(row) for row in self.values]
        if not shape or shape != [len(self.x.values)] * len(self.y.values) or not shape[0]:
            raise ValueError(
                f"{len(self.y.values)} rows of {len(self.x.values)} numbers are expected, "
                f"not rows of {shape}"
            )
        if self.least < 0:
            raise ValueError(f"a heat map shows nothing below zero, such as {self.least}")

    @property
    def least(self) -> float:
        """The smallest number."""
        return min(map(min, self.values))

    @property
    def most(self) -> float:
        """The largest number."""
        return max(map(max, self.values))

    @property
    def framed(self) -> bool:
        """Whether the cells with the least are so few that a frame around each shows them."""
        numbers = [value for row in self.values for value in row]
        return self.hue == "alarm" and numbers.count(self.least) <= len(numbers) / 10

    def level(self, value: float) -> int:
        """The number of a value's shade: 0 for nothing, the last for the most there is."""
        if not value:
            return 0
        return max(1, round((len(shades(self.hue)) - 1) * value / self.most))

    def shade(self, value: float) -> Kind:
        """A value's shade."""
        return shades(self.hue)[self.level(value)]

    def rows(self) -> list[tuple[str, ...]]:
        """One line for each value of `y`."""
        head = (self.y.name, *self.x.values)
        lines = zip(self.y.values, self.values, strict=True)
        return [head, *((name, *map(self.text, row)) for name, row in lines)]

    def table(self) -> str:
        """See `Shown.table`."""
        return f"across: {self.x.name}\n{super().table()}"

    def tell(self) -> str:
        """The least and the most, and where they are."""
        return f"{self._tell_where('least', self.least)} {self._tell_where('most', self.most)}"

    def _tell_where(self, word: str, value: float) -> str:
        places = [
            f"{self.y.name} {y}, {self.x.name} {x}"
            for y, row in zip(self.y.values, self.values, strict=True)
            for x, one in zip(self.x.values, row, strict=True)
            if one == value
        ]
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        return f"{word.capitalize()} {self.text(value)} at {places[0]}{more}."


def scale_of(shown: Heatmap) -> list[float]:
    """The numbers that the legend explains, from nothing to the most."""
    return [shown.most * part / 4 for part in range(5)] if shown.most else [0]
