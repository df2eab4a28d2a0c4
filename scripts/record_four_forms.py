"""Record what the same rows take in four forms: problem set 14 asks which one is the smallest.

Writes `course_lib/recorded/four_forms.json`. Takes half a minute.
"""

import json
from datetime import date
from pathlib import Path

import pyspark

from course_lib.checks.ps14 import DATA_SETS, forms

OUTPUT = Path(__file__).parent.parent / "course_lib" / "recorded" / "four_forms.json"


def main() -> None:
    measured = forms()
    for letter, sizes in measured.items():
        print(letter, sizes)
    recorded = {
        "made_by": "python scripts/record_four_forms.py",
        "date": date.today().isoformat(),
        "spark": pyspark.__version__,
        "rows": {letter: one.rows for letter, one in DATA_SETS.items()},
        "bytes": measured,
    }
    OUTPUT.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
