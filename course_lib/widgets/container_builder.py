"""The explorable of containers: what one process of Spark is granted, and how many a node holds."""

from collections.abc import Mapping
from dataclasses import replace

from course_lib.draw.picture import Picture
from course_lib.model.container import (
    CLUSTER_MANAGERS,
    DEPLOY_MODES,
    LANGUAGES,
    Container,
    NodeFit,
    YarnScheduler,
    container,
    executors_per_node,
)
from course_lib.model.heap import ROLES
from course_lib.model.region import Region
from course_lib.units import MIB, byte_string_as_mib, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View

UNSET = "not set"
_MANAGERS = {"yarn": "YARN", "kubernetes": "Kubernetes", "standalone": "the standalone master"}


def container_builder(state: Mapping) -> View:
    """The container of an executor or driver under the settings in `state`, and a node of them."""
    on_yarn = state["cluster_manager"] == "yarn"
    try:
        built = container(
            _settings(state),
            role=state["role"],
            cluster_manager=state["cluster_manager"],
            spark_version=state["spark_version"],
            deploy_mode=state["deploy_mode"],
            language=state["language"],
            scheduler=_scheduler(state) if on_yarn else None,
        )
    except ValueError as refusal:
        return View.refused(refusal)
    facts = (("requested", _written(built.requested_mib)), ("granted", _written(built.granted_mib)))
    if built.name != "executor":
        return View(_picture(built), _sentence(built, state), facts)
    fit = executors_per_node(
        built,
        node_memory_mib=byte_string_as_mib(state["node_memory"]),
        node_cores=state["node_cores"],
        executor_cores=state["executor_cores"],
    )
    facts += (
        ("executors per node", str(fit.executors)),
        ("the next one lacks", fit.limited_by),
        ("memory unused", _written(fit.unused_memory_mib)),
        ("cores unused", str(fit.unused_cores)),
    )
    sentence = f"{_sentence(built, state)} {_node_sentence(fit, state)}"
    return View(_picture(built, _node(fit)), sentence, facts)


def _settings(state: Mapping) -> dict[str, str]:
    # In local mode there is no executor of its own, and only the driver's settings count.
    role = "driver" if state["cluster_manager"] == "local" else state["role"]
    conf = {f"spark.{role}.memory": state["memory"]}
    if state["overhead"] != UNSET:
        conf[f"spark.{role}.memoryOverhead"] = state["overhead"]
    if state["off_heap"] != UNSET:
        conf["spark.memory.offHeap.enabled"] = "true"
        conf["spark.memory.offHeap.size"] = state["off_heap"]
    if state["pyspark"] != UNSET:
        conf["spark.executor.pyspark.memory"] = state["pyspark"]
    return conf


def _scheduler(state: Mapping) -> YarnScheduler:
    return YarnScheduler(state["yarn_minimum"], state["yarn_maximum"], kind=state["yarn_scheduler"])


def _picture(built: Container, *node: Region) -> Picture:
    """One bar for the container and one for the node, each on a scale of its own."""
    return Picture(f"Container of {_article(built.name)}", "modelled", (built.region(), *node))


def _node(fit: NodeFit) -> Region:
    """The node with its executors as plain tiles: what is in one of them is drawn above."""
    node = fit.region()
    tiles = (
        replace(part, name="executor", children=()) if part.kind == "container" else part
        for part in node.children
    )
    return replace(node, children=tuple(tiles))


def _sentence(built: Container, state: Mapping) -> str:
    asked, granted = _written(built.requested_mib), _written(built.granted_mib)
    manager = _MANAGERS.get(state["cluster_manager"])
    if manager is None:
        return f"In local mode one JVM is driver and executor: a heap of {asked}, no container."
    if built.name == "driver" and state["deploy_mode"] == "client":
        return f"The driver runs where it was started: a heap of {asked}, no container."
    away = "The driver runs where it was started. " if built.name == "application master" else ""
    told = f"{away}For {_article(built.name)}, Spark asks {manager} for {asked}"
    if built.rounding_mib:
        return f"{told}, and is granted {granted}: {_written(built.rounding_mib)} come by rounding."
    return f"{told}."


def _node_sentence(fit: NodeFit, state: Mapping) -> str:
    if not fit.executors:
        return f"A node of {state['node_memory']} and {state['node_cores']} cores holds none."
    return (
        f"A node holds {fit.executors}; {_written(fit.unused_memory_mib)} and "
        f"{fit.unused_cores} cores stay unused, as the next one lacks {fit.limited_by}."
    )


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "ae" else f"the {name}"


def _written(mib: int) -> str:
    return bytes_to_string(mib * MIB)


class ContainerBuilder(Explorable):
    """Build the container of an executor or driver, and fill a node with executors."""

    title = "From settings to a container"
    controls = (
        Control(
            "memory",
            "memory",
            ("512m", "1g", "2g", "3g", "4g", "6g", "8g", "10g", "12g", "16g", "20g", "32g"),
        ),
        Control("overhead", "memoryOverhead", (UNSET, "384m", "512m", "1g", "2g", "4g")),
        Control("off_heap", "spark.memory.offHeap.size", (UNSET, "0", "512m", "1g", "2g", "4g")),
        Control("cluster_manager", "cluster manager", CLUSTER_MANAGERS, kind="choice"),
        Control("role", "role", ROLES, kind="choice", more=True),
        Control("deploy_mode", "deploy mode", DEPLOY_MODES, kind="choice", more=True),
        Control("language", "language", LANGUAGES, kind="choice", more=True),
        Control(
            "spark_version",
            "Spark version",
            ("1.6", "2.3", "2.4", "3.0", "3.1", "3.3", "4.0", "4.3"),
            kind="choice",
            more=True,
        ),
        Control(
            "pyspark",
            "spark.executor.pyspark.memory",
            (UNSET, "256m", "512m", "1g", "2g", "4g"),
            more=True,
        ),
        Control("executor_cores", "cores of an executor", (1, 2, 3, 4, 5, 8, 16), more=True),
        Control(
            "node_memory",
            "memory of a node",
            ("1g", "8g", "16g", "32g", "64g", "128g"),
            more=True,
        ),
        Control("node_cores", "cores of a node", (4, 8, 16, 32, 64), more=True),
        Control(
            "yarn_scheduler", "YARN's scheduler", ("capacity", "fair"), kind="choice", more=True
        ),
        Control("yarn_minimum", "minimum-allocation-mb", (256, 512, 1024, 2048), more=True),
        Control("yarn_maximum", "maximum-allocation-mb", (8192, 16384, 65536), more=True),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "memory": "8g",
        "overhead": UNSET,
        "off_heap": UNSET,
        "cluster_manager": "yarn",
        "role": "executor",
        "deploy_mode": "cluster",
        "language": "jvm",
        "spark_version": "4.3",
        "pyspark": UNSET,
        "executor_cores": 4,
        "node_memory": "64g",
        "node_cores": 32,
        "yarn_scheduler": "capacity",
        "yarn_minimum": 1024,
        "yarn_maximum": 16384,
    }

    def view(self, state: Mapping) -> View:
        """See `container_builder`."""
        return container_builder(state)
