"""Record what the process of a JVM becomes under each load of `course_lib.widgets.ProcessMap`.

Writes `course_lib/recorded/process_map.json`. Takes about ten seconds.
"""

import json
from datetime import date
from pathlib import Path

from course_lib.spark import Jvm, find_java
from course_lib.widgets.process_map import HEAPS, Load, measure_all

OUTPUT = Path(__file__).parent.parent / "course_lib" / "recorded" / "process_map.json"


def main() -> None:
    rows, categories = [], []
    for heap in HEAPS:
        with Jvm(heap, initial_heap="8m") as jvm:
            for state, found in measure_all(Load(jvm)):
                row = [heap, state["arrays"], state["threads"], state["direct"]]
                if isinstance(found, str):
                    rows.append([*row, found])
                    continue
                categories = list(found.committed)
                rows.append([*row, found.heap_used, found.resident, *found.committed.values()])
    recorded = {
        "made_by": "python scripts/record_process_map.py",
        "date": date.today().isoformat(),
        "java": find_java().full_version,
        "columns": ["heap", "arrays", "threads", "direct", "heap_used", "resident"],
        "categories": categories,
        "readings": rows,
    }
    text = json.dumps(recorded, separators=(",", ":")).replace(',["', ',\n["')
    OUTPUT.write_text(text + "\n")
    print(f"{OUTPUT}: {len(rows)} readings, {len(text) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
