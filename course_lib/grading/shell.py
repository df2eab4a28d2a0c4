"""IPython without a front end: runs a cell and gives back its outputs as a notebook keeps them."""

import builtins
import os
import random
import sys
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

_EACH = 500  # bytes that an output takes in a notebook, whatever is in it

_LONGEST_ERROR = 50_000  # characters

_CUT = "\n… the rest of what this cell wrote was left out\n"


class Outputs:
    """The outputs of one cell, in nbformat's form, at most `limit` bytes of text and pictures."""

    def __init__(self, limit: int):
        self.items: list[dict[str, Any]] = []
        self.left = limit
        self.cut = False

    def write(self, stream: str, text: str) -> None:
        """Add to a stream, "stdout" or "stderr"."""
        last = self.items[-1] if self.items else {}
        if last.get("name") != stream:
            self.left -= min(self.left, _EACH)
        text = self._take(text)
        if not text:
            return
        if last.get("name") == stream:
            last["text"].append(text)
        else:
            self.items.append({"output_type": "stream", "name": stream, "text": [text]})

    def add(self, output: dict[str, Any], size: int) -> None:
        """Add any other output, of about so many bytes."""
        size += _EACH
        if size <= self.left:
            self.left -= size
            self.items.append(output)
        else:
            self._take(" " * size)

    def replace(self, display_id: str, data: dict, metadata: dict) -> None:
        """Show something else in place of what was displayed under that id."""
        for output in self.items:
            if output.get("display_id") == display_id:
                output.update(data=data, metadata=metadata)

    def finished(self) -> list[dict[str, Any]]:
        """The outputs, ready for a notebook."""
        for output in self.items:
            output.pop("display_id", None)
            if isinstance(output.get("text"), list):
                output["text"] = "".join(output["text"])
        return self.items

    def _take(self, text: str) -> str:
        if len(text) <= self.left:
            self.left -= len(text)
            return text
        taken, self.left = text[: self.left], 0
        if not self.cut:
            self.cut = True
            return taken + _CUT
        return ""


class Stream:
    """What ``sys.stdout`` and ``sys.stderr`` are while a cell runs."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, shell: "Shell", name: str):
        self.name = name
        self._shell = shell

    def write(self, text: str) -> int:
        """Add text to the outputs of the cell that runs."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._shell.outputs.write(self.name, text)
        return len(text)

    def writelines(self, lines) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """There is nothing to wait for."""

    def isatty(self) -> bool:
        """A notebook is no terminal."""
        return False

    def fileno(self) -> int:
        """Where a program started by the cell writes to: nowhere."""
        return 1 if self.name == "stdout" else 2


class _Publisher(DisplayPublisher):
    def publish(self, data, metadata=None, *, transient=None, update=False, **_) -> None:
        metadata = metadata or {}
        display_id = (transient or {}).get("display_id")
        outputs = self.shell.outputs
        if update:
            outputs.replace(display_id, data, metadata)
            return
        output = {"output_type": "display_data", "data": data, "metadata": metadata}
        outputs.add(output | {"display_id": display_id}, _size(data))

    def clear_output(self, wait=False) -> None:
        self.shell.outputs.items.clear()


class _Hook(DisplayHook):
    def write_output_prompt(self) -> None:
        """A notebook shows the number in its margin."""

    def write_format_data(self, format_dict, md_dict=None) -> None:
        output = {
            "output_type": "execute_result",
            "execution_count": self.prompt_count,
            "data": format_dict,
            "metadata": md_dict or {},
        }
        self.shell.outputs.add(output, _size(format_dict))


class Shell(InteractiveShell):
    """An IPython shell whose cells' outputs are collected."""

    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Hook)

    @classmethod
    def make(cls) -> "Shell":
        """The shell of this process: no history on disk, no colours, no threads."""
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        settings = Config()
        settings.HistoryManager.enabled = False
        settings.InteractiveShell.colors = "NoColor"
        settings.InteractiveShell.xmode = "Context"
        shell = cls.instance(config=settings)
        shell.outputs = Outputs(0)
        return shell

    def warm_up(self) -> None:
        """Run a cell, and forget it: what IPython does for the first one only is done then."""
        self.run("pass", 0)
        self.reset()

    def enable_gui(self, gui=None) -> None:
        """Pictures go into the notebook; there is no window to open."""

    def _showtraceback(self, etype, evalue, stb) -> None:
        traceback = [str(line) for line in stb]
        if sum(map(len, traceback)) > _LONGEST_ERROR:
            traceback = ["…" + "\n".join(traceback)[-_LONGEST_ERROR:]]
        error = {
            "output_type": "error",
            "ename": str(getattr(etype, "__name__", etype))[:_LONGEST_ERROR],
            "evalue": str(evalue)[:_LONGEST_ERROR],
            "traceback": traceback,
        }
        # However much was written before: a failed test without an error would look passed.
        self.outputs.items.append(error)

    def run(self, source: str, limit: int) -> dict[str, Any]:
        """Run a cell, and return ``{"outputs", "ok", "cut", "count"}``: at most `limit` bytes of
        outputs, whether it ended without an error, whether some output was left out, and the
        cell's number."""
        self.outputs = Outputs(limit)
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Stream(self, "stdout"), Stream(self, "stderr")
        try:
            result = self.run_cell(source, store_history=True)
        finally:
            sys.stdout, sys.stderr = before
            self.history_manager.outputs.clear()  # IPython keeps all that was ever written
        return {
            "outputs": self.outputs.finished(),
            "ok": bool(result.success),
            "cut": self.outputs.cut,
            "count": self.execution_count - 1,
        }


def reseed() -> None:
    """Give a forked process chances of its own: it shares its parent's random state otherwise."""
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def no_input() -> None:
    """Nobody is there to answer ``input``."""

    def refuse(prompt: str = "") -> str:
        raise RuntimeError("input() does not work while a notebook is graded: nobody answers")

    builtins.input = refuse


def _size(data: dict) -> int:
    return sum(len(value) if isinstance(value, str) else 1000 for value in data.values())
