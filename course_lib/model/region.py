"""A named size with parts: everything the course draws is a tree of these."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """A region of memory: `size` bytes, of which `used` are in use, divided into `children`.

    `name` is what a reader sees. `kind` is what it *is*, one of the palette's meanings, such as
    ``"storage"``: it decides the colour and never changes with the wording. `note` is one short
    remark, shown beside the size.

    Children need not fill their parent: what is left over is `unassigned`. They may also exceed
    it, as when more is asked for than a machine has: that is `overflow`.

    Raises ValueError for a negative size or use.
    """

    name: str
    kind: str
    size: int
    used: int | None = None
    children: tuple["Region", ...] = ()
    note: str = ""

    def __post_init__(self):
        object.__setattr__(self, "children", tuple(self.children))
        if self.size < 0:
            raise ValueError(
                f"a region cannot have a negative size: {self.name} has {self.size} bytes"
            )
        if self.used is not None and self.used < 0:
            raise ValueError(f"a region cannot use negative bytes: {self.name} uses {self.used}")

    @property
    def unassigned(self) -> int:
        """Bytes of this region that no child covers; 0 for a region without children."""
        return max(0, self.size - self._covered) if self.children else 0

    @property
    def parts(self) -> tuple["Region", ...]:
        """The children and, as one more region, what they leave over."""
        if not self.unassigned:
            return self.children
        return (*self.children, Region("unassigned", "unassigned", self.unassigned))

    @property
    def overflow(self) -> int:
        """Bytes by which the children exceed this region."""
        return max(0, self._covered - self.size)

    @property
    def _covered(self) -> int:
        return sum(child.size for child in self.children)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Region"]]:
        """This region and all below it, each with its depth, parents first."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def find(self, name: str) -> "Region":
        """The first region called `name` in the tree. Raises KeyError if there is none."""
        for _, region in self.walk():
            if region.name == name:
                return region
        names = ", ".join(region.name for _, region in self.walk())
        raise KeyError(f"no region is called {name!r}; there are: {names}")
