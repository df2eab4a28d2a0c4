"""Running one of nbgrader's steps in this process, with its complaints kept for an error."""

import logging
import os
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class StepError(Exception):
    """A step of nbgrader has failed; the message says what nbgrader complained about."""


def run_step(converter_class, coursedir, config=None):
    """Run a converter of nbgrader on the assignment of a course directory, and return it.

    It overwrites what it made before. `config` is the course directory's own unless it is given.
    Raises StepError.
    """
    from nbgrader.converters.base import NbGraderException
    from sqlalchemy.exc import SAWarning

    log = _Log()
    config = coursedir.config if config is None else config
    converter = converter_class(coursedir=coursedir, config=config, log=log.logger)
    converter.force = True
    try:
        with _scripts_on_path(), warnings.catch_warnings():
            # About how nbgrader uses its database, which is none of ours to mend.
            warnings.filterwarnings("ignore", category=SAWarning)
            converter.start()
    except (NbGraderException, RuntimeError, ValueError) as error:
        raise StepError("\n".join([f"nbgrader: {error}", *log.complaints])) from error
    return converter


@contextmanager
def _scripts_on_path() -> Iterator[None]:
    """For a new gradebook nbgrader runs ``alembic``, which lies beside this Python but need not be
    on PATH."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before


class _Log(logging.Handler):
    """Keeps nbgrader's warnings and errors, to be shown if a step fails."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.complaints: list[str] = []
        self.logger = logging.Logger("nbgrader", logging.WARNING)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append(f"  {record.getMessage()}")
