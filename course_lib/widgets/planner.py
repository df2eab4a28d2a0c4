"""The planner: three ways to cut the nodes of a cluster into executors, and one job under each."""

from collections.abc import Mapping, Sequence

from course_lib.draw.picture import bars
from course_lib.model.container import DEPLOY_MODES, YarnScheduler
from course_lib.model.planner import Cluster, Forecast, Job, Plan, forecast, plans
from course_lib.model.region import Region
from course_lib.units import MIB, byte_string_as_bytes, byte_string_as_mib, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View

ROW_BYTES = 104
NO_LIMIT = "no limit"
# As the tests of the model find it.
ERROR = "none in cores, memory and the spill of executors of one core; more cores share unevenly"


def planner(state: Mapping) -> View:
    """Thin, balanced and fat executors for the cluster and the job in `state`."""
    most = None if state["most_heap"] == NO_LIMIT else byte_string_as_mib(state["most_heap"])
    made = plans(_cluster(state), most_memory_mib=most)
    met = [forecast(plan, _job(state)) for plan in made]
    title = f"One node of {state['node_cores']} cores and {state['node_memory']}, cut three ways"
    return View(bars(map(_node, made), title=title), _sentence(made, met), _facts(made, met))


def _cluster(state: Mapping) -> Cluster:
    memory = byte_string_as_mib(state["node_memory"])
    reserved = byte_string_as_mib(state["system"])
    on_yarn = state["cluster_manager"] == "yarn"
    return Cluster(
        state["nodes"],
        state["node_cores"],
        memory,
        cluster_manager=state["cluster_manager"],
        spark_version=state["spark_version"],
        deploy_mode=state["deploy_mode"],
        reserved_memory_mib=reserved,
        scheduler=YarnScheduler(1024, memory - reserved) if on_yarn else None,
    )


def _job(state: Mapping) -> Job:
    return Job(
        byte_string_as_bytes(state["data"]) // ROW_BYTES,
        ROW_BYTES,
        state["partitions"],
        largest=state["largest"],
        cached_mib=byte_string_as_mib(state["cached"]),
    )


def _node(plan: Plan) -> Region:
    """A node with its executors, and in each of them what each of its tasks may hold."""
    built, fit = plan.fit.container, plan.fit
    tasks = plan.executor_cores * plan.memory_per_task
    parts = (
        *(Region("task", "execution", plan.memory_per_task) for _ in range(plan.executor_cores)),
        Region("rest of the heap", "user", built.memory_mib * MIB - tasks),
        *(part for part in built.region().children if part.name != "heap"),
    )
    executor = Region("executor", "container", built.granted_mib * MIB, children=parts)
    children = [
        Region("system", "process", fit.reserved_memory_mib * MIB),
        *([executor] * fit.executors),
        Region("unused", "unassigned", fit.unused_memory_mib * MIB),
    ]
    return Region(
        plan.name, "node", fit.node_memory_mib * MIB, children=[one for one in children if one.size]
    )


def _sentence(made: Sequence[Plan], met: Sequence[Forecast]) -> str:
    told = []
    for plan, one in zip(made, met, strict=True):
        spills = f"spills {bytes_to_string(one.spilled)}" if one.spilled else "spills nothing"
        told.append(
            f"{plan.name.capitalize()}: {plan.tasks_at_once} tasks at once with up to "
            f"{bytes_to_string(one.share)} each; the job takes {one.waves} "
            f"wave{'s' * (one.waves != 1)} and {spills}."
        )
    return " ".join(told)


def _facts(made: Sequence[Plan], met: Sequence[Forecast]) -> tuple[tuple[str, str], ...]:
    """A row for each measure, with a number for each plan."""
    both = list(zip(made, met, strict=True))

    def row(name: str, text) -> tuple[str, str]:
        return name, " · ".join(str(text(plan, one)) for plan, one in both)

    def size(mib: int) -> str:
        return bytes_to_string(mib * MIB)

    rows = (
        row("plans", lambda plan, _: plan.name),
        row("executors", lambda plan, _: plan.executors),
        row("cores of each", lambda plan, _: plan.executor_cores),
        row("heap of each", lambda plan, _: size(plan.memory_mib)),
        row("bytes of a reference", lambda plan, _: 4 if plan.compressed_references else 8),
        row("memory unused, all nodes", lambda plan, _: size(plan.unused_memory_mib)),
        row("cores unused, all nodes", lambda plan, _: plan.unused_cores),
        row("the largest partition needs", lambda _, one: bytes_to_string(one.need)),
        row("fewest equal partitions without a spill", lambda _, one: f"{one.fewest_partitions:,}"),
        row("of the cache, finds room", lambda _, one: f"{100 * one.cached:.0f} %"),
    )
    return (*rows, ("error, beside Spark 4.3", ERROR))


class Planner(Explorable):
    """Cut the nodes of a cluster into thin, balanced and fat executors, and compare them.

    ``Planner(nodes=10, node_cores=16, node_memory="64g", data="1t", partitions=2000)``; further
    `cluster_manager`, `spark_version`, `deploy_mode`, `system`, `largest`, `cached`, `most_heap`.
    The job sorts `data` bytes in rows of 104, each task one partition. One core of each node is
    the system's, and so is the memory in `system`.
    """

    title = "From nodes to executors"
    controls = (
        Control("node_cores", "cores of a node", (4, 8, 16, 32)),
        Control("node_memory", "memory of a node", ("16g", "32g", "64g", "128g", "256g")),
        Control("data", "data to sort", ("10g", "100g", "300g", "1t", "3t")),
        Control("partitions", "partitions", (200, 500, 1000, 2000, 5000, 10000)),
        Control("nodes", "nodes", (2, 3, 5, 10, 20, 50), more=True),
        Control(
            "cluster_manager",
            "cluster manager",
            ("standalone", "yarn", "kubernetes"),
            kind="choice",
            more=True,
        ),
        Control("deploy_mode", "deploy mode", DEPLOY_MODES, kind="choice", more=True),
        Control(
            "spark_version", "Spark version", ("2.4", "3.5", "4.0", "4.3"), kind="choice", more=True
        ),
        Control("system", "kept for the system", ("1g", "2g", "4g", "8g"), more=True),
        Control("most_heap", "heap at most", ("8g", "16g", "31g", NO_LIMIT), more=True),
        Control("largest", "largest partition, times the average", (1, 2, 5, 10), more=True),
        Control("cached", "to be cached", ("0", "100g", "300g", "1t"), more=True),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "node_cores": 16,
        "node_memory": "64g",
        "data": "1t",
        "partitions": 1000,
        "nodes": 10,
        "cluster_manager": "yarn",
        "deploy_mode": "cluster",
        "spark_version": "4.3",
        "system": "1g",
        "most_heap": NO_LIMIT,
        "largest": 1,
        "cached": "0",
    }

    def view(self, state: Mapping) -> View:
        """See `planner`."""
        return planner(state)
