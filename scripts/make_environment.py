"""Create the course's Python environment in .venv from requirements.lock.

Uses the standard library alone, since it runs before anything is installed. `make lab` and
`make test` call it when .venv is missing, or older than the lock or pyproject.toml.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
LOG = VENV / "install.log"
READY = VENV / "ready"

LAB_SETTINGS = {
    # JupyterLab otherwise asks about news and looks for updates on the internet at its first start.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # A saved lesson otherwise opens with "model not found" in place of its widgets.
    "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True},
}


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 (this runs before any requirement is checked)
        sys.exit(
            f"The course needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. "
            "Name another one: make lab PYTHON=python3.12"
        )
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit("This Python cannot make environments. On Debian: apt-get install python3-venv")
    free = shutil.disk_usage(ROOT).free
    if free < 3 * 2**30:
        sys.exit(f"The environment needs 3 GiB of disk; {free / 2**30:.1f} GiB are free in {ROOT}.")

    started = time.monotonic()
    print(f"Creating the environment in {VENV} (once; two to four minutes)", flush=True)
    READY.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    LOG.write_text("")
    # setuptools comes first: pyspark is built from its source archive, and with the pinned
    # setuptools in place the build downloads nothing that has no hash in the lock.
    setuptools = VENV / "setuptools.lock"
    setuptools.write_text(requirement("setuptools"))
    pip("setuptools", "--require-hashes", "-r", setuptools)
    pip("packages", "--require-hashes", "--no-build-isolation", "-r", LOCK)
    pip("the course itself", "--no-deps", "--no-build-isolation", "--editable", ROOT)

    settings = VENV / "share/jupyter/lab/settings/overrides.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(LAB_SETTINGS))
    READY.touch()
    print(f"Environment ready after {time.monotonic() - started:.0f} s", flush=True)


def requirement(name: str) -> str:
    """The lines of the lock that pin one package and its hashes."""
    return re.search(rf"^{name}==.*?(?=^\S|\Z)", LOCK.read_text(), re.MULTILINE | re.DOTALL)[0]


def pip(what: str, *arguments) -> None:
    """Run pip install, with one progress line on a terminal and everything in the log."""
    total = len(re.findall(r"^\S+==", LOCK.read_text(), re.MULTILINE))
    command = [VENV / "bin/python", "-m", "pip", "install", "--no-input", *arguments]
    seen = 0
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )
    with LOG.open("a") as log, process:
        for line in process.stdout:
            log.write(line)
            doing = re.match(r"(Collecting|Building wheel for|Installing collected) ?(\S*)", line)
            if not doing:
                continue
            seen += doing[1] == "Collecting"
            if doing[1] == "Collecting":
                say(f"{what}: {seen} of at most {total}, {doing[2].split('==')[0]}")
            elif doing[1].startswith("Building"):
                say(f"{what}: building {doing[2]}")
            else:
                say(f"{what}: copying files into place")
    if process.returncode:
        tail = "".join(LOG.read_text().splitlines(keepends=True)[-15:])
        sys.exit(f"\n{tail}\npip could not install {what}. All it said is in {LOG}.")
    say(f"{what}: installed", end="\n")


def say(text: str, end: str = "") -> None:
    """Show progress: one line that is overwritten on a terminal, only the last one elsewhere."""
    if sys.stdout.isatty():
        print(f"\r\033[K  {text}", end=end, flush=True)
    elif end:
        print(f"  {text}", flush=True)


if __name__ == "__main__":
    main()
