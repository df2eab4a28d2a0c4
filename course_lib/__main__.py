"""The course's command line: ``python -m course_lib --help``."""

import argparse
import sys

from course_lib import assignments


def _doctor(_arguments: argparse.Namespace) -> int:
    from course_lib import doctor

    return doctor.main()


def main(argv: list[str] | None = None) -> int:
    """Run one sub-command; its return value is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m course_lib", description="The course's tools.")
    commands = parser.add_subparsers(metavar="command", required=True)

    command = commands.add_parser("doctor", help="see whether this machine has what is needed")
    command.set_defaults(run=_doctor)
    assignments.add_commands(commands)

    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
