"""Names of a package that are loaded when first used, so that importing it costs nothing."""

from collections.abc import Callable, Mapping
from importlib import import_module


def loaded_on_use(package: str, home_of: Mapping[str, str]) -> tuple[Callable, Callable]:
    """A package's ``__getattr__`` and ``__dir__``; `home_of` is the module of each of its names.

    Other names raise AttributeError, as everywhere in Python. Source: PEP 562.
    """

    def load(name: str):
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return load, lambda: sorted(home_of)
