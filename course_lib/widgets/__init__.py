"""What a lesson shows and a learner plays with; nothing is loaded before it is used."""

from importlib import import_module

_MODULES = {"predict": "questions", "self_test": "questions"}


def __getattr__(name: str):
    if name in _MODULES:
        return getattr(import_module(f"course_lib.widgets.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'course_lib.widgets' has no attribute {name!r}")
