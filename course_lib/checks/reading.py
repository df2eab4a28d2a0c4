"""Reading the settings that a learner chose, before they are tried out."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from course_lib import settings
from course_lib.checks.values import show


def read_with(readers: Mapping[str, Callable[[Any], Any]]) -> Callable[[Mapping], dict[str, Any]]:
    """The `read` of an `EffectTask` whose settings are read one by one, by these functions.

    It returns a dict of what they return, and raises ValueError for keys that are not among
    theirs, for keys without a value, and for values that a function refuses with a ValueError or a
    TypeError; the message begins with the key. A size in bytes is read by
    ``byte_string_as_bytes``, a setting of Spark's by what `spark_setting` returns.
    """

    def read(answer: Mapping) -> dict[str, Any]:
        for key in answer:
            if key not in readers:
                near = difflib.get_close_matches(str(key), readers, n=1)
                advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(readers)}"
                raise ValueError(f"There is no setting {show(key)} here; {advice}")
        chosen = {}
        for key, read_value in readers.items():
            value = answer.get(key)
            if value is None or value is ...:
                raise ValueError(f"{key}: no value yet")
            try:
                chosen[key] = read_value(value)
            except (ValueError, TypeError) as refusal:
                raise ValueError(f"{key}: {refusal}") from None
        return chosen

    return read


def spark_setting(key: str) -> Callable[[Any], Any]:
    """A function that reads a value of this setting as Spark does, refusing in Spark's words.

    Raises KeyError for a setting that the course does not know.
    """
    settings.setting(key)
    return lambda value: settings.read({key: value}, key)
