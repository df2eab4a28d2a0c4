"""Compare the model with several Sparks: the installed one, and older ones that pip downloads.

Each older PySpark (some 300 MB to download, 400 MB on disk) goes into a folder of its own in
`.conformance/`, which stands before the environment's own packages while its tests run; all else is
the environment's. Prints a table, and leaves with 1 where the model differs from any of them.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".conformance"

ARCHIVES = {  # SHA-256 of each source archive
    "3.5.9": "ea27adc39ddac9413b8951e45aa748cbed6c785971b81386efc41938f6243d93",
    "4.1.4": "bcbd5e18690cf79d438e97210ad06fb8d451a251bb77becc2b0418868d2acd73",
}


def main() -> int:
    rows = [
        ("Spark", "sequences", "calls", "result"),
        *(compare(install(version), version) for version in ARCHIVES),
        compare(None, "the installed one"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *numbers, result in rows:
        print(*(text.rjust(w) for text, w in zip(numbers, widths, strict=True)), result, sep="  ")
    return any(result != "agreed" for *_, result in rows[1:])


def install(version: str) -> Path:
    """The folder of a PySpark, installed there first where it is missing."""
    folder = FOLDER / version
    if not folder.exists():
        print(f"Installing PySpark {version} in {folder}", flush=True)
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as draft:
            requirements = Path(draft, "requirements.txt")
            requirements.write_text(f"pyspark=={version} --hash=sha256:{ARCHIVES[version]}\n")
            options = ("--no-deps", "--no-build-isolation", "--require-hashes", "--quiet")
            command = [sys.executable, "-m", "pip", "install", *options, "-r", requirements]
            subprocess.run([*command, "--target", Path(draft, version)], check=True)
            Path(draft, version).rename(folder)
    return folder


def compare(folder: Path | None, name: str) -> tuple[str, str, str, str]:
    """A row of the table: the tests marked `conformance`, run with the PySpark in `folder`."""
    print(f"Comparing with Spark: {name}", flush=True)
    paths = [str(folder)] if folder else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryDirectory() as reports:
        report = Path(reports, "report.xml")
        # That a mistake in the model is noticed does not depend on the Spark beside it.
        which = ("-m", "conformance", "-k", "not mistake", "tests/model", "tests/spark")
        options = ("-q", "-p", "no:cacheprovider", f"--junitxml={report}")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *which],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if not report.exists():
            raise RuntimeError(f"the tests did not run:\n{ran.stdout}")
        suite = ElementTree.parse(report).getroot().find("testsuite")
    found = {one.get("name"): one.get("value") for one in suite.iterfind("properties/property")}
    if folder and found.get("spark") != folder.name:
        raise RuntimeError(f"Spark {found.get('spark')} was compared, not {folder.name}")
    return (
        found["spark"],
        f"{int(found['sequences']):,}",
        f"{int(found['calls']):,}",
        first_difference(suite),
    )


def first_difference(suite: ElementTree.Element) -> str:
    """What the first test that failed says, or that all agreed."""
    for case in suite.iterfind("testcase"):
        for failure in (*case.iterfind("failure"), *case.iterfind("error")):
            return f"{case.get('name')}: {failure.get('message')}"
    return "agreed"


if __name__ == "__main__":
    sys.exit(main())
