"""The explorables, a few controls and one mechanism each, and questions with explained answers.

The names below are loaded when first used, so that importing this package costs nothing.
"""

from importlib import import_module

_HOME_OF = {
    "ContainerBuilder": "container_builder",
    "Control": "explorable",
    "Explorable": "explorable",
    "HeapRegions": "heap_regions",
    "HeapSawtooth": "heap_sawtooth",
    "ProcessMap": "process_map",
    "View": "explorable",
    "predict": "questions",
    "self_test": "questions",
}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
