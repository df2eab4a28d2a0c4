"""The unified memory manager and its pools, call by call beside Spark's own."""

import pytest
from beside_spark import Comparison, Model, a_size, setups
from hypothesis import settings

from course_lib.settings import version

pytestmark = pytest.mark.conformance

MODES = ("ON_HEAP", "OFF_HEAP")


def next_call(model: Model, lot: int, a: int, b: int, c: int, d: int) -> tuple | None:
    """Calls of the manager's own: execution, storage and unroll memory come and go."""
    mode, task, block = MODES[a % 4 == 0], b % 5, f"rdd_{b % 3}_{c % 3}"
    size = a_size(model, mode, d, task)
    match lot % 16:
        case 0 | 1 | 2 | 3 | 4:
            return (
                None if len(model.waiting) > 2 else ("acquire_execution_memory", size, task, mode)
            )
        case 5 | 6 | 7:
            return ("release_execution_memory", max(0, size), task, mode)
        case 8:
            return ("release_all_execution_memory_for_task", task)
        case 9 | 10:
            return ("acquire_storage_memory", block, size, mode)
        case 11:
            return ("acquire_unroll_memory", block, size, mode)
        case 12:
            return ("release_storage_memory", max(0, size), mode)
        case 13:
            return ("release_unroll_memory", max(0, size), mode)
        case 14:
            return ("release_all_storage_memory",) if c < 64 else None
        case 15:
            counts = version(model.manager.spark_version) >= (4, 1)
            return ("set_unmanaged_memory_used", max(0, size), mode) if counts else None


def test_agrees_with_spark(memory_oracle):
    comparison = Comparison(memory_oracle, next_call)
    comparison.run(setups(), examples=25 * settings.default.max_examples)
    print(comparison.seen)
