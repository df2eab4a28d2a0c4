"""The explorable of the heap's regions: which settings move which border."""

from course_lib.draw.picture import picture, share
from course_lib.model.heap import COLLECTORS, ROLES, heap
from course_lib.units import byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View

MEMORY = (
    "256m", "400m", "450m", "512m", "768m", "1g", "2g", "3g", "4g", "6g", "8g", "10g", "12g",
    "16g", "20g", "24g", "32g", "48g", "64g",
)  # fmt: skip


def heap_regions(state) -> View:
    """The heap of an executor or driver under the settings in `state`."""
    conf = {
        f"spark.{state['role']}.memory": state["memory"],
        "spark.memory.fraction": str(state["fraction"]),
        "spark.memory.storageFraction": str(state["storage_fraction"]),
    }
    try:
        if state["role"] == "executor":
            # The driver starts first and refuses an executor that is too small before it exists.
            heap(conf, role="driver", spark_version=state["spark_version"])
        found = heap(
            conf,
            role=state["role"],
            collector=state["collector"],
            spark_version=state["spark_version"],
        )
    except ValueError as refusal:
        return View.refused(refusal)
    promised = byte_string_as_bytes(state["memory"])
    part = share(found.on_heap_storage_region_size, promised)
    sentence = (
        f"Of {bytes_to_string(promised)}, Spark manages "
        f"{bytes_to_string(found.max_heap_memory)}, which is what its UI calls storage memory; "
        "execution evicts cached blocks only while they take more than "
        f"{part} of the heap you asked for."
    )
    facts = (("Runtime.maxMemory", bytes_to_string(found.system_memory)),)
    owner = "an executor" if state["role"] == "executor" else "the driver"
    return View(picture(found.region(), title=f"Heap of {owner}"), sentence, facts)


class HeapRegions(Explorable):
    """Move the settings that divide a heap and watch reserved, user, storage and execution."""

    title = "Regions of the heap"
    controls = (
        Control("memory", "memory (-Xmx)", MEMORY),
        Control(
            "fraction",
            "spark.memory.fraction",
            (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0),
        ),
        Control(
            "storage_fraction",
            "spark.memory.storageFraction",
            (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        ),
        Control("collector", "collector", COLLECTORS, kind="choice"),
        Control("role", "role", ROLES, kind="choice", more=True),
        Control(
            "spark_version",
            "Spark version",
            ("1.6", "2.4", "3.0", "3.5", "4.0", "4.3"),
            kind="choice",
            more=True,
        ),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "memory": "4g",
        "fraction": 0.6,
        "storage_fraction": 0.5,
        "collector": "G1",
        "role": "executor",
        "spark_version": "4.3",
    }

    def view(self, state) -> View:
        """See `heap_regions`."""
        return heap_regions(state)
