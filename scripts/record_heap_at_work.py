"""Record what problem set 02 shows: a garbage collection log, and what is left of six JVMs that
died of OutOfMemoryError.

Writes `course_lib/recorded/heap_at_work.json`. Takes half a minute.
"""

import json
import re
import tempfile
from datetime import date
from pathlib import Path

from course_lib.spark import Remains, find_java
from course_lib.spark.autopsy import autopsy
from course_lib.spark.gc_log import GcLog, read_gc_log
from course_lib.units import bytes_to_string

OUTPUT = Path(__file__).parent.parent / "course_lib" / "recorded" / "heap_at_work.json"

# What is alive climbs until it nearly fills the heap, and then half of it is let go: so G1 shows
# everything it can do.
TIDE = """public class Tide { public static void main(String[] args) {
    java.util.ArrayList kept = new java.util.ArrayList();
    for (int i = 0; i < 8000000; i++) {
        byte[] piece = new byte[500];
        if (i % 8 == 0) kept.add(piece);
        if (kept.size() == 408000) kept = new java.util.ArrayList(kept.subList(204000, 408000));
    }
}}"""

_HOARD = """public class Hoard { public static void main(String[] args) {
    int[][] open = new int[500000][];
    for (int i = 0; ; i++) {
        int[] order = new int[20];
        if (i % 100 == 0) open[i / 100] = order;
    }
}}"""

_BUFFERS = """public class Buffers { public static void main(String[] args) {
    java.util.ArrayList kept = new java.util.ArrayList();
    for (;;) kept.add(java.nio.ByteBuffer.allocateDirect(1048576));
}}"""

_CLASSES = """public class Classes { public static void main(String[] args) {
    java.util.ArrayList kept = new java.util.ArrayList();
    java.lang.reflect.InvocationHandler nothing = new java.lang.reflect.InvocationHandler() {
        public Object invoke(Object proxy, java.lang.reflect.Method method, Object[] arguments) {
            return null;
        }
    };
    for (;;) {
        ClassLoader loader = new java.net.URLClassLoader(new java.net.URL[0]);
        Class[] faces = new Class[] {Runnable.class};
        kept.add(java.lang.reflect.Proxy.newProxyInstance(loader, faces, nothing));
    }
}}"""

_STACK = """public class Stack { public static void main(String[] args) {
    new Thread(null, null, "deep", 1L << 50).start();
}}"""

_TABLE = """public class Table { public static void main(String[] args) {
    long[] cells = new long[Integer.MAX_VALUE];
}}"""

# Both for either program: the limits are not to tell which of them was met.
_LIMITS = ["-XX:MaxDirectMemorySize=32m", "-XX:MaxMetaspaceSize=24m"]

# By the letter under which the problem set shows it: the program, its heap, further options.
DEATHS = {
    "A": (_BUFFERS, "512m", ["-XX:+UseG1GC", *_LIMITS]),
    "B": (_HOARD, "24m", ["-XX:+UseParallelGC"]),
    "C": (_CLASSES, "512m", ["-XX:+UseSerialGC", *_LIMITS]),
    "D": (_HOARD, "24m", ["-XX:+UseG1GC"]),
    "E": (_TABLE, "512m", ["-XX:+UseSerialGC"]),
    "F": (_STACK, "512m", ["-XX:+UseG1GC"]),
}


def death(letter: str) -> dict:
    """Let that one die, and return what the problem set tells and what it asks for."""
    program, heap, options = DEATHS[letter]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "gc.log")
        remains = autopsy(program, heap=heap, java_options=[*options, f"-Xlog:gc:file={file}"])
        log = read_gc_log(file)
    return {
        "started with": " ".join([f"-Xmx{heap}", *options]),
        "heap": _fullest(log),
        "collecting": f"{remains.gc_share or 0:.0%} of the time",
        "thrown in": ", called by ".join(frames(remains)[:3]),
        "message": remains.message,
    }


def frames(remains: Remains) -> list[str]:
    """The methods that the OutOfMemoryError went through, from where it was thrown."""
    stack = remains.log.split("java.lang.OutOfMemoryError", 1)[1].splitlines()[1:]
    found = [re.match(r"\s+at (?:[\w.]+/)?([\w.$<>]+)\(", line) for line in stack]
    return [frame[1] for frame in found if frame]


def _fullest(log: GcLog) -> str:
    """What was left by the collection that left most. The last one may have come after the end."""
    if not log.collections:
        return "nothing was ever collected"
    full = max(log.collections, key=lambda one: one.after)
    kept, room = bytes_to_string(full.after), bytes_to_string(full.capacity)
    return f"at most {kept} of {room} left by a collection ({full.kind}, {full.cause})"


def gc_log() -> list[str]:
    """The lines of a log that G1 wrote."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "gc.log")
        autopsy(TIDE, heap="256m", java_options=["-XX:+UseG1GC", f"-Xlog:gc:file={file}"])
        return file.read_text().splitlines()


if __name__ == "__main__":
    recorded = {
        "made_by": "python scripts/record_heap_at_work.py",
        "date": date.today().isoformat(),
        "java": find_java().full_version,
        "gc_log": gc_log(),
        "deaths": {letter: death(letter) for letter in DEATHS},
    }
    OUTPUT.write_text(json.dumps(recorded, indent=1) + "\n")
    print(f"Wrote {OUTPUT}")
