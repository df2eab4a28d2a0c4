"""From the nodes of a cluster to its executors: how many, how large, and what a task then has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from course_lib.model.container import (
    Container,
    NodeFit,
    YarnScheduler,
    container,
    executors_per_node,
    largest_heap,
)
from course_lib.model.heap import MIN_SYSTEM_MEMORY, Heap, heap
from course_lib.model.managers import UnifiedMemoryManager
from course_lib.model.partitions import fewest_partitions, sort_memory, sort_spill, task_share
from course_lib.settings import LATEST
from course_lib.units import MIB

BALANCED = (5, 4, 3)  # cores of a balanced executor, in order of preference


@dataclass(frozen=True)
class Cluster:
    """Equal nodes, and who hands out what they have; memory in MiB.

    `reserved_cores` and `reserved_memory_mib` are what each node keeps for its system and daemons.
    `conf` holds further Spark settings as text; the planner itself sets `spark.executor.memory`.
    With `deploy_mode` ``"client"`` the driver runs elsewhere. The `scheduler` goes with YARN.

    Raises ValueError where a node keeps all of its cores or memory.
    """

    nodes: int
    node_cores: int
    node_memory_mib: int
    cluster_manager: str = "yarn"
    spark_version: str = LATEST
    deploy_mode: str = "cluster"
    reserved_cores: int = 1
    reserved_memory_mib: int = 1024
    conf: Mapping[str, str] = field(default_factory=dict)
    scheduler: YarnScheduler | None = None

    def __post_init__(self):
        if self.nodes < 1:
            raise ValueError(f"a cluster has at least 1 node, not {self.nodes}")
        if self.cluster_manager == "local":
            raise ValueError("local mode has one JVM and no executors to plan")
        for kept, whole, what in (
            (self.reserved_cores, self.node_cores, "cores"),
            (self.reserved_memory_mib, self.node_memory_mib, "MiB"),
        ):
            if not 0 <= kept < whole:
                raise ValueError(
                    f"a node of {whole} {what} keeps from 0 to {whole - 1} of them, not {kept}"
                )

    @property
    def executor_cores(self) -> int:
        """Cores of a node that executors may have."""
        return self.node_cores - self.reserved_cores

    @property
    def _how(self) -> dict:
        return {
            "cluster_manager": self.cluster_manager,
            "spark_version": self.spark_version,
            "deploy_mode": self.deploy_mode,
            "scheduler": self.scheduler,
        }

    def companion(self) -> Container | None:
        """The container that one node gives to the driver or YARN's application master, if any.

        It takes one core as well: `spark.driver.cores` and `spark.yarn.am.cores` are 1.
        """
        if self.deploy_mode == "client" and self.cluster_manager != "yarn":
            return None
        return container(self.conf, role="driver", **self._how)

    def fit(self, memory_mib: int, executor_cores: int, beside: Container | None = None) -> NodeFit:
        """How many executors with such a heap one node holds, `beside` another container or not."""
        conf = {**self.conf, "spark.executor.memory": f"{memory_mib}m"}
        return executors_per_node(
            container(conf, **self._how),
            node_memory_mib=self.node_memory_mib,
            node_cores=self.executor_cores - bool(beside),
            executor_cores=executor_cores,
            reserved_memory_mib=self.reserved_memory_mib + (beside.granted_mib if beside else 0),
        )

    def largest_heap(self, executors: int) -> int:
        """The largest heap, in MiB, of which a node holds that many: see `largest_heap`."""
        return largest_heap(
            executors,
            self.conf,
            node_memory_mib=self.node_memory_mib,
            reserved_memory_mib=self.reserved_memory_mib,
            **self._how,
        )


@dataclass(frozen=True)
class Plan:
    """Executors of `executor_cores` cores and a heap of `memory_mib` on every node of a cluster."""

    name: str
    cluster: Cluster
    executor_cores: int
    memory_mib: int

    @cached_property
    def fit(self) -> NodeFit:
        """A node that has nothing but executors."""
        return self.cluster.fit(self.memory_mib, self.executor_cores)

    @cached_property
    def executors(self) -> int:
        """Executors of the whole cluster; one node has the driver or application master as well."""
        beside = self.cluster.companion()
        if beside is None:
            return self.cluster.nodes * self.fit.executors
        alone = (self.cluster.nodes - 1) * self.fit.executors
        if self.cluster.executor_cores == 1:
            return alone
        return alone + self.cluster.fit(self.memory_mib, self.executor_cores, beside).executors

    @property
    def tasks_at_once(self) -> int:
        """Tasks that the cluster runs at once, when each takes one core."""
        return self.executors * self.executor_cores

    @cached_property
    def heap(self) -> Heap:
        """Spark's regions in an executor's heap."""
        conf = {**self.cluster.conf, "spark.executor.memory": f"{self.memory_mib}m"}
        return heap(conf, spark_version=self.cluster.spark_version)

    @cached_property
    def page_size(self) -> int:
        """Bytes of a page of an executor's execution memory."""
        regions = self.heap
        return UnifiedMemoryManager(
            regions.max_heap_memory,
            regions.on_heap_storage_region_size,
            num_cores=self.executor_cores,
            spark_version=self.cluster.spark_version,
        ).page_size_bytes

    @property
    def memory_per_task(self) -> int:
        """Bytes that each task may hold when all cores are at work and nothing is cached: 1/N."""
        return task_share(self.heap.max_heap_memory, self.executor_cores)

    @property
    def compressed_references(self) -> bool:
        """Whether references in the heap take 4 bytes, not 8. The JVM's rule, below 32 GiB; it
        keeps 32 MiB of them for itself (measured: ``-Xmx32736m`` has such references, the next
        larger heap has not)."""
        return self.memory_mib <= 32 * 1024 - 32

    @property
    def unused_memory_mib(self) -> int:
        """Memory of all nodes that no container takes and that is not kept for the system."""
        cluster, beside = self.cluster, self.cluster.companion()
        offered = cluster.nodes * (cluster.node_memory_mib - cluster.reserved_memory_mib)
        taken = self.executors * self.fit.container.granted_mib
        return offered - taken - (beside.granted_mib if beside else 0)

    @property
    def unused_cores(self) -> int:
        """Cores of all nodes that nothing uses and that are not kept for the system."""
        cluster, beside = self.cluster, self.cluster.companion()
        return cluster.nodes * cluster.executor_cores - self.tasks_at_once - bool(beside)


def plan(
    cluster: Cluster, executor_cores: int, *, name: str = "", most_memory_mib: int | None = None
) -> Plan:
    """As many executors of so many cores as a node's cores allow, each with the largest heap.

    `most_memory_mib` bounds the heap. Where memory is too short for a heap that Spark accepts, a
    node gets fewer executors. Raises ValueError if it can have none, and for a driver that no node
    can hold.
    """
    beside, offered = cluster.companion(), cluster.node_memory_mib - cluster.reserved_memory_mib
    if beside and beside.granted_mib > offered:
        raise ValueError(
            f"the {beside.name} needs {beside.granted_mib} MiB, and a node offers {offered}"
        )
    if not 1 <= executor_cores <= cluster.executor_cores:
        raise ValueError(
            f"an executor can have from 1 to {cluster.executor_cores} cores of such a node, "
            f"not {executor_cores}"
        )
    for executors in range(cluster.executor_cores // executor_cores, 0, -1):
        memory = min(cluster.largest_heap(executors), most_memory_mib or cluster.node_memory_mib)
        if memory * MIB >= MIN_SYSTEM_MEMORY:
            return Plan(name or f"{executor_cores} cores", cluster, executor_cores, memory)
    raise ValueError(
        f"no executor fits a node of {cluster.node_memory_mib} MiB: its heap would be "
        f"{memory} MiB, and Spark needs {MIN_SYSTEM_MEMORY // MIB}"
    )


def plans(cluster: Cluster, *, most_memory_mib: int | None = None) -> tuple[Plan, ...]:
    """Three ways to cut up the nodes: thin, balanced and fat.

    Thin executors have one core, fat ones all cores of a node. Balanced ones have three to five:
    what leaves the fewest cores unused, and of these the most. Raises ValueError as `plan` does.
    """
    cores = cluster.executor_cores
    balanced = min(BALANCED, key=lambda one: cores % one if one <= cores else cores)
    sizes = {"thin": 1, "balanced": min(balanced, cores), "fat": cores}
    return tuple(
        plan(cluster, size, name=name, most_memory_mib=most_memory_mib)
        for name, size in sizes.items()
    )


@dataclass(frozen=True)
class Job:
    """What a job asks of its executors: a sort of `rows` rows of `row_bytes` in `partitions`.

    The largest partition has `largest` times the rows of the average one. `cached_mib` is what all
    executors together have to cache beside.
    """

    rows: int
    row_bytes: int
    partitions: int
    largest: float = 1.0
    cached_mib: int = 0

    @property
    def rows_of_largest(self) -> int:
        """Rows of the largest partition."""
        return min(self.rows, -int(-self.rows * self.largest // self.partitions))


@dataclass(frozen=True)
class Forecast:
    """What a job meets under a plan; sizes in bytes.

    `waves` are the rounds of tasks; `share` is what each task may hold, `need` what the task of the
    largest partition must hold not to spill, and `spilled` what all tasks together show as "spill
    (memory)". With `fewest_partitions` or more of equal size, none would. `cached` is the part of
    what is to be cached that finds room while no task needs memory.
    """

    waves: int
    share: int
    need: int
    spilled: int
    fewest_partitions: int
    cached: float


def forecast(plan: Plan, job: Job) -> Forecast:
    """Take every executor to be as busy as the others: each core has a task, each caches its part.

    All partitions but the largest have the same size. See `sort_memory` for how exact this is.
    """
    if not plan.executors:
        raise ValueError(f"the plan {plan.name!r} has no executors")
    regions = plan.heap
    to_cache = job.cached_mib * MIB // plan.executors
    share = task_share(
        regions.max_heap_memory,
        plan.executor_cores,
        storage_memory_used=to_cache,
        storage_region_size=regions.on_heap_storage_region_size,
    )
    size = (job.row_bytes, share, plan.page_size)
    others = job.partitions - 1
    usual = -(-(job.rows - job.rows_of_largest) // others) if others else 0
    return Forecast(
        waves=-(-job.partitions // plan.tasks_at_once),
        share=share,
        need=sort_memory(job.rows_of_largest, job.row_bytes, plan.page_size),
        spilled=sort_spill(job.rows_of_largest, *size) + others * sort_spill(usual, *size),
        fewest_partitions=fewest_partitions(job.rows, *size),
        cached=min(1.0, regions.max_heap_memory / to_cache) if to_cache else 1.0,
    )
