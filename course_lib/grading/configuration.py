"""What a course says about grading in its ``nbgrader_config.py``, as ``c.Grading.…``."""

from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from traitlets import Bool, Float, Integer, List, Unicode
from traitlets.config import Config, Configurable

from course_lib.grading import jail
from course_lib.grading.unit import Options


class Grading(Configurable):
    """How learners' code is run, and what it may use."""

    unsandboxed = Bool(
        False, help="Run learners' code without a jail, with the rights of whoever grades."
    ).tag(config=True)
    call_timeout = Float(30, help="Seconds that a test's call of a learner's code may take.").tag(
        config=True
    )
    notebook_timeout = Float(900, help="Seconds that a whole notebook may take.").tag(config=True)
    output_kib = Integer(1024, help="KiB that are kept of what one cell writes.").tag(config=True)
    memory_mib = Integer(2048, help="MiB of all processes of a submission, and its files.").tag(
        config=True
    )
    scratch_mib = Integer(256, help="MiB of files that a submission may write.").tag(config=True)
    processes = Integer(512, help="Processes and threads of a submission.").tag(config=True)
    cpu_timeout = Integer(900, help="Processor seconds of each process of a submission.").tag(
        config=True
    )
    readable = List(
        Unicode(), help="Files and folders that learners' code may read, beside Python and /usr."
    ).tag(config=True)
    hidden = List(
        Unicode(), help="Files and folders that it may not, though they lie in readable ones."
    ).tag(config=True)

    @classmethod
    def options(cls, config: Config, coursedir: CourseDirectory, **changes) -> Options:
        """The options that a course's configuration gives. A cell may take as long as the course
        allows nbgrader's own `Execute` (30 s by default). `changes` are traits set otherwise."""
        from nbgrader.preprocessors import Execute

        chosen = cls(config=config, **changes)
        cell_s = Execute(config=config).timeout or chosen.notebook_timeout
        return Options(
            sandboxed=not chosen.unsandboxed,
            cell_s=cell_s,
            call_s=min(chosen.call_timeout, cell_s),
            notebook_s=chosen.notebook_timeout,
            output_bytes=chosen.output_kib * 1024,
            limits=jail.Limits(
                memory_mib=chosen.memory_mib,
                scratch_mib=chosen.scratch_mib,
                processes=chosen.processes,
                cpu_s=chosen.cpu_timeout,
            ),
            view=jail.View(
                readable=[Path(path) for path in chosen.readable],
                hidden=[*map(Path, chosen.hidden), *_folders(coursedir)],
            ),
        )


def _folders(coursedir: CourseDirectory) -> list[Path]:
    """The course's own: solutions, submissions, grades."""
    root = Path(coursedir.root)
    folders = [
        coursedir.source_directory,
        coursedir.submitted_directory,
        coursedir.autograded_directory,
        coursedir.feedback_directory,
    ]
    database = coursedir.db_url.removeprefix("sqlite:///")
    return [root / folder for folder in folders] + [root / database]
