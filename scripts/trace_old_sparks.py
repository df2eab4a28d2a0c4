"""Record what the memory managers of earlier Sparks did: 2.4.8's two, and those of 2.2 and 2.1.

Writes golden traces to `tests/recorded/`, which the model has to agree with, and the few that a
lesson shows to `course_lib/recorded/static_memory_manager.json`. Downloads the source archives of
three PySparks (590 MB) and uses only the jars in them. Takes three minutes.
"""

import hashlib
import json
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from course_lib.spark import find_java
from course_lib.spark.jvm import Jvm
from course_lib.spark.memory_oracle import Game, MemoryOracle, Played, Returned, State, Thrown
from course_lib.spark.refusal import SparkRefusal, in_sparks_words
from course_lib.units import GIB, MIB

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "recorded"
SHOWN = ROOT / "course_lib" / "recorded" / "static_memory_manager.json"

ARCHIVES = {  # SHA-256 of each source archive
    "2.4.8": "3a19b71b8dc8dd91ebc943604a05e1ab01bce052456d42937035632d852d78dc",
    # On both sides of SPARK-21090: since 2.2, storage borrows no more than is missing.
    "2.2.3": "fdce24678da3b662d53e4605b4c1b0870d0c2a505158eec0286e138f90eba5c5",
    "2.1.3": "27c0e6498f684abcf06d684ffc2d2206352a4731d60fa8b80aeded126e84284f",
}

SEQUENCES, CALLS = 16, 28

TASKS = (1, 2, 3, 4)
LEVELS = ("MEMORY_ONLY", "MEMORY_ONLY_SER", "MEMORY_AND_DISK", "MEMORY_AND_DISK_SER")

# What lesson 05 shows: blocks, then tasks that want more, then blocks again.
HEAP = 4 * GIB
STORY = (
    ("put", "rdd_0_0", 400 * MIB, "MEMORY_ONLY"),
    ("put", "rdd_0_1", 400 * MIB, "MEMORY_ONLY"),
    ("put", "rdd_1_0", 400 * MIB, "MEMORY_AND_DISK"),
    ("put", "rdd_1_1", 400 * MIB, "MEMORY_AND_DISK"),
    ("acquire_execution_memory", 300 * MIB, 1, "ON_HEAP"),
    ("acquire_execution_memory", 300 * MIB, 2, "ON_HEAP"),
    ("acquire_execution_memory", 600 * MIB, 1, "ON_HEAP"),
    ("release_all_execution_memory_for_task", 1),
    ("release_all_execution_memory_for_task", 2),
    ("put", "rdd_2_0", 800 * MIB, "MEMORY_ONLY"),
    ("put_iterator", "rdd_3_0", [50 * MIB] * 17, "MEMORY_AND_DISK"),
)


# A block that off-heap memory could hold if tasks had left it alone: SPARK-21090 again.
TOO_LARGE = (
    ("put", "rdd_0_0", 300, "OFF_HEAP"),
    ("acquire_execution_memory", 400, 1, "OFF_HEAP"),
    ("put", "rdd_1_0", 650, "OFF_HEAP"),
)


def main() -> None:
    for version in ARCHIVES:
        with tempfile.TemporaryDirectory() as folder:
            jars = download(version, Path(folder))
            with MemoryOracle(jars) as spark:
                write_golden(version, "unified", spark)
                if version == "2.4.8":
                    write_golden(version, "static", spark)
                    games = [story(spark, manager) for manager in ("static", "unified")]
                    write(SHOWN, {"spark": version, "heap": HEAP, "games": games})
            if version == "2.4.8":
                write(GOLDEN / f"sizes_{version}.json", {"spark": version, "sizes": sizes(jars)})


def download(version: str, folder: Path) -> Path:
    """Download a PySpark with pip, and return the folder with the jars of its Spark.

    Raises ValueError if it is not the archive that was first used.
    """
    # pip asks a source archive for its name by running its setup.py: without build isolation,
    # since that of 2018 does not run beside what it would then download.
    options = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-qq")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "-d", folder, f"pyspark=={version}"],
        check=True,
    )
    [archive] = folder.glob("pyspark-*.tar.gz")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != ARCHIVES[version]:
        raise ValueError(f"{archive.name} has SHA-256 {found}, not {ARCHIVES[version]}")
    with tarfile.open(archive) as tar:
        jars = [m for m in tar.getmembers() if "/deps/jars/" in m.name]
        tar.extractall(folder, jars, filter="data")
    return folder / f"pyspark-{version}" / "deps" / "jars"


# Sequences of calls


def play(spark: MemoryOracle, setup: dict, calls: Sequence[tuple]) -> Game:
    """Play calls on a manager that is made as `setup` says."""
    method = spark.play_static if setup["manager"] == "static" else spark.play
    return method(*setup["sizes"], calls, num_cores=setup["num_cores"], conf=setup["conf"])


def write_golden(version: str, manager: str, spark: MemoryOracle) -> None:
    """Record random sequences on one manager of one Spark."""
    setup = {"manager": manager, "sizes": (1000, 500), "num_cores": 1}
    setup |= {"conf": {"spark.memory.offHeap.size": "1000"}}
    games = [recorded(setup, TOO_LARGE, play(spark, setup, TOO_LARGE))]
    for seed in range(SEQUENCES):
        dice = random.Random(f"{manager} {seed}")
        setup = draw_setup(dice, manager)
        calls = draw_calls(dice, spark, setup, unrolls=version == "2.4.8")
        games.append(recorded(setup, calls, play(spark, setup, calls)))
    write(GOLDEN / f"{manager}_{version}.json", {"spark": version, "games": games})


def draw_setup(dice: random.Random, manager: str) -> dict:
    """A manager with little memory, so that few blocks and tasks fill it."""
    memory = dice.choice((1_000, 5_000, 10_000, 3 * GIB + 7))
    share = dice.choice((0.2, 0.5, 0.5, 0.8))
    off_heap = dice.choice((0, 0, memory // 2))
    conf = {"spark.storage.unrollMemoryThreshold": str(memory // 20)}
    if off_heap:
        conf |= {"spark.memory.offHeap.size": str(off_heap)}
        conf |= {"spark.memory.storageFraction": str(share)}
    if manager == "static":
        conf |= {"spark.storage.unrollFraction": dice.choice(("0.2", "0.5", "0.05"))}
        sizes = (round(memory * (1 - share)), round(memory * share))
    else:
        sizes = (memory, round(memory * share))
    return {"manager": manager, "sizes": sizes, "num_cores": dice.choice((1, 4)), "conf": conf}


def draw_calls(
    dice: random.Random, spark: MemoryOracle, setup: dict, *, unrolls: bool
) -> list[tuple]:
    """Calls that make sense one after the other: after each, Spark is asked how things stand."""
    calls, pinned, unrolled = [], [], []
    game = play(spark, setup, calls)
    memory = max(setup["sizes"])
    while len(calls) < CALLS:
        state = game.played[-1].state if game.played else game.start
        ended = {number for played in game.played for number in played.ended}
        waiting = {call[2] for number, call in enumerate(calls) if number not in ended}
        call = draw_call(dice, state, memory, len(calls), waiting, pinned, unrolled, unrolls)
        if call is None:
            continue
        calls.append(call)
        game = play(spark, setup, calls)
        name, *arguments = call
        if name == "pin":
            pinned.append(*arguments)
        elif name == "unpin":
            pinned.remove(*arguments)
        elif name == "release_unroll_memory":
            unrolled.remove(tuple(arguments))
        elif name == "acquire_unroll_memory" and game.played[-1].ended[len(calls) - 1] == Returned(
            True
        ):
            unrolled.append(tuple(arguments[1:]))
    return calls


def draw_call(
    dice: random.Random,
    state: State,
    memory: int,
    number: int,
    waiting: set[int],
    pinned: list[str],
    unrolled: list[tuple[int, str]],
    unrolls: bool,
) -> tuple | None:
    """A call that is possible in this state, or None if the one that came up is not.

    A task that waits calls nothing, and at most two wait at once: which of several is woken first
    is up to the JVM, so the model has to try all orders.
    """
    off_heap = sum(state.pools.off_heap_execution) > 0 and dice.random() < 0.3
    mode = "OFF_HEAP" if off_heap else "ON_HEAP"
    block = f"rdd_{dice.randrange(4)}_{number}"
    here = sorted({*state.blocks, *state.disk})
    if off_heap:
        memory = state.pools.off_heap_storage[0] + state.pools.off_heap_execution[0]
    size = dice.randint(1, memory // dice.choice((1, 2, 4, 8)))
    held = {t: n for t, n in state.tasks[off_heap].items() if t not in waiting}
    call = dice.choices(
        ("put", "put_iterator", "get", "remove", "pin", "unpin", "acquire_unroll_memory",
         "release_unroll_memory", "acquire_execution_memory", "release_execution_memory",
         "release_all_execution_memory_for_task"),
        (6, 3 * unrolls, 3, 1, 1, 1, 1, 1, 7, 3, 2),
    )[0]  # fmt: skip
    match call:
        case "put":
            return call, block, size, "OFF_HEAP" if off_heap else dice.choice(LEVELS)
        case "put_iterator":
            values = dice.randint(1, 40)
            return call, block, [size // values] * values, dice.choice(LEVELS[::2])
        case "get" if here:
            return call, dice.choice(here)
        case "remove" | "pin" if set(here) - set(pinned):
            return call, dice.choice(sorted(set(here) - set(pinned)))
        case "unpin" if pinned:
            return call, dice.choice(pinned)
        case "acquire_unroll_memory":
            return call, block, size, mode
        case "release_unroll_memory" if unrolled:
            return call, *dice.choice(unrolled)
        case "acquire_execution_memory" if len(waiting) < 2:
            task = dice.choice([task for task in TASKS if task not in waiting])
            return call, 0 if dice.random() < 0.03 else size, task, mode
        case "release_execution_memory" if held:
            task = dice.choice(sorted(held))
            return call, dice.randint(1, held[task] * 5 // 4 + 1), task, mode
        case "release_all_execution_memory_for_task" if held:
            return call, dice.choice(sorted(held))
    return None


# What is written down


def recorded(setup: dict, calls: Sequence[tuple], game: Game) -> dict:
    """A game as it is stored: each call with what came of it and what it changed."""
    before = seen(game.start)
    rows = []
    for call, played in zip(calls, game.played, strict=True):
        after = seen(played.state)
        changed = {key: value for key, value in after.items() if value != before[key]}
        rows.append([call, ended(played), played.events, changed])
        before = after
    start = {"page_size_bytes": game.page_size_bytes, "start": seen(game.start)}
    return setup | start | {"rows": rows}


def ended(played: Played) -> dict:
    """What each call that came back returned, or the exception with which it ended."""
    return {
        number: one._asdict() if isinstance(one, Thrown) else one.value
        for number, one in played.ended.items()
    }


def seen(state: State) -> dict:
    """A state without what no recorded call can change."""
    return state.pools._asdict() | {
        "limits": state.limits,
        "tasks": state.tasks,
        "blocks": state.blocks,
        "disk": sorted(state.disk),
        "unroll": state.unroll,
    }


def story(spark: MemoryOracle, manager: str) -> dict:
    """The story on one manager, with the sizes that it gives itself by default."""
    if manager == "static":
        sizes = (int(HEAP * 0.2 * 0.8), int(HEAP * 0.6 * 0.9))
    else:
        memory = int((HEAP - 300 * MIB) * 0.6)
        sizes = (memory, memory // 2)
    setup = {"manager": manager, "sizes": sizes, "num_cores": 2, "conf": {}}
    return recorded(setup, STORY, play(spark, setup, STORY))


# Sizes that follow from settings

BOTH = ("static", "unified")
FRACTIONS = ("0", "0.1", "0.333", "1", "1.5", "-0.1", "half")
CONFS = [
    *((m, memory, cores, {}) for m in BOTH for memory, cores in (
        (0, 1), (32 * MIB - 1, 1), (32 * MIB, 1), (450 * MIB - 1, 1), (450 * MIB, 1),
        (GIB, 1), (954_728_448, 4), (10 * GIB, 4), (10 * GIB, 64), (300 * GIB + 1, 8),
    )),
    *((m, 2 * GIB, 2, {"spark.executor.memory": size}) for m in BOTH
      for size in ("31m", "32m", "449m", "450m", "33554431", "1g")),
    *((m, 2 * GIB, 2, {"spark.buffer.pageSize": "2m"}) for m in BOTH),
    *((m, 2 * GIB, 2, {"spark.memory.useLegacyMode": "true"}) for m in BOTH),
    *((m, 2 * GIB, 2, {"spark.memory.offHeap.size": size, "spark.memory.offHeap.enabled": on})
      for m in BOTH for size in ("0", "100m", "1g") for on in ("false", "true")),
    *(("static", 2 * GIB + 1, 2, {key: fraction}) for fraction in FRACTIONS for key in (
        "spark.storage.memoryFraction", "spark.storage.safetyFraction",
        "spark.storage.unrollFraction", "spark.shuffle.memoryFraction",
        "spark.shuffle.safetyFraction",
    )),
    *(("unified", 2 * GIB + 1, 2, {key: fraction}) for fraction in FRACTIONS for key in (
        "spark.memory.fraction", "spark.memory.storageFraction",
    )),
]  # fmt: skip


def sizes(jars: Path) -> list:
    """What Spark makes of settings: its check of them, then the manager's own constructor."""
    rows = []
    with Jvm("256m", native_memory_tracking=False, spark_jars=jars) as process:
        for manager, memory, cores, conf in CONFS:
            settings = process.jvm.org.apache.spark.SparkConf(False)
            for key, value in (conf | {"spark.testing.memory": str(memory)}).items():
                settings.set(key, value)
            checked = refusal(settings.validateSettings)
            found = refusal(made, process, manager, settings, cores)
            rows.append([manager, memory, cores, conf, checked, found])
    return rows


def refusal(function, *arguments):
    """What a function returns, or how Spark refuses."""
    try:
        with in_sparks_words():
            return function(*arguments)
    except SparkRefusal as refusal:
        return {"refused": refusal.message}


def made(process: Jvm, manager: str, settings, cores: int) -> dict:
    """The sizes of a manager that is made of settings, in bytes."""
    memory = process.jvm.org.apache.spark.memory
    if manager == "static":
        made = memory.StaticMemoryManager(settings, cores)
        field = made.getClass().getDeclaredField("maxUnrollMemory")
        field.setAccessible(True)
        found = {"unroll": field.get(made)}
    else:
        made = memory.UnifiedMemoryManager.apply(settings, cores)
        found = {}
    return found | {
        "storage": made.onHeapStorageMemoryPool().poolSize(),
        "execution": made.onHeapExecutionMemoryPool().poolSize(),
        "off_heap_storage": made.offHeapStorageMemoryPool().poolSize(),
        "off_heap_execution": made.offHeapExecutionMemoryPool().poolSize(),
        "page": made.pageSizeBytes(),
    }


def write(path: Path, recorded: dict) -> None:
    """Write what was recorded, one call or manager on a line."""
    header = {
        "made_by": "python scripts/trace_old_sparks.py",
        "date": date.today().isoformat(),
        "java": find_java().full_version,
    }
    text = json.dumps(header | recorded, separators=(",", ":"))
    text = text.replace('}],["', '}],\n["').replace('}],[["', '}],\n[["')
    path.write_text(text + "\n")
    print(f"{path.relative_to(ROOT)}: {len(text) / 1024:.0f} KiB", flush=True)


if __name__ == "__main__":
    main()
