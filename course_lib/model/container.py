"""From settings to containers: what a cluster manager is asked for, and how many fit on a node."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from course_lib.model.heap import ROLES
from course_lib.model.region import Region
from course_lib.settings import LATEST, is_set, read, version
from course_lib.units import MIB, java_integer

AM_MEMORY_OVERHEAD_FACTOR = 0.10
NON_JVM_MEMORY_OVERHEAD_FACTOR = 0.4
MEMORY_OVERHEAD_MIN_MIB = 384

CLUSTER_MANAGERS = ("standalone", "yarn", "kubernetes", "local")
DEPLOY_MODES = ("client", "cluster")
LANGUAGES = ("jvm", "python")


@dataclass(frozen=True)
class Container:
    """What the cluster manager is asked for to run one process of Spark, all in MiB.

    `name` says which process: ``"executor"``, ``"driver"`` or ``"application master"``. The parts
    add up to `requested_mib`; a scheduler may grant more, the difference being `rounding_mib`.
    Source: ``ResourceProfile.getResourcesForClusterManager``, whose names the fields follow.
    """

    name: str
    memory_mib: int
    overhead_mib: int = 0
    off_heap_mib: int = 0
    pyspark_mib: int = 0
    rounding_mib: int = 0

    def __post_init__(self):
        for field in fields(self)[1:]:
            if getattr(self, field.name) < 0:
                raise ValueError(
                    f"no part of a container is negative: {field.name} of this {self.name} "
                    f"is {getattr(self, field.name)}"
                )

    @property
    def requested_mib(self) -> int:
        """What Spark asks for."""
        return self.memory_mib + self.overhead_mib + self.off_heap_mib + self.pyspark_mib

    @property
    def granted_mib(self) -> int:
        """What it gets, and must not outgrow."""
        return self.requested_mib + self.rounding_mib

    def region(self) -> Region:
        """The container as a tree in bytes: the heap, then each other part that is not empty."""
        parts = (
            Region("heap", "heap", self.memory_mib * MIB),
            Region("overhead", "overhead", self.overhead_mib * MIB),
            Region("off-heap", "off_heap", self.off_heap_mib * MIB),
            Region("PySpark", "pyspark", self.pyspark_mib * MIB),
            Region("rounding", "unassigned", self.rounding_mib * MIB),
        )
        children = tuple(part for part in parts if part.size)
        return Region(self.name, "container", self.granted_mib * MIB, children=children)


@dataclass(frozen=True)
class YarnScheduler:
    """How YARN's ResourceManager rounds a request for memory: its settings, in MiB.

    Rounding goes up to whole multiples of a step. For the capacity scheduler this is
    ``yarn.scheduler.minimum-allocation-mb``; the fair scheduler has a step of its own,
    ``yarn.resource-types.memory-mb.increment-allocation``, which is 1024 unless given here.

    Raises ValueError for settings with which the ResourceManager would not start.
    Source: ``DefaultResourceCalculator.normalize``.
    """

    minimum_allocation_mb: int = 1024
    maximum_allocation_mb: int = 8192
    increment_allocation_mb: int | None = None
    kind: str = "capacity"

    def __post_init__(self):
        _one_of("kind", self.kind, ("capacity", "fair"))
        least, wording = (
            (1, "min and max should be greater than 0")
            if self.kind == "capacity"
            else (0, "min should equal greater than 0")
        )
        if not least <= self.minimum_allocation_mb <= self.maximum_allocation_mb:
            raise ValueError(
                "Invalid resource scheduler memory allocation configuration, "
                f"yarn.scheduler.minimum-allocation-mb={self.minimum_allocation_mb}, "
                f"yarn.scheduler.maximum-allocation-mb={self.maximum_allocation_mb}, "
                f"{wording}, max should be no smaller than min."
            )
        if self.increment_allocation_mb is not None:
            if self.kind == "capacity":
                raise ValueError(
                    "the capacity scheduler rounds to multiples of minimum_allocation_mb; "
                    "only kind='fair' has an increment_allocation_mb"
                )
            _positive("increment_allocation_mb", self.increment_allocation_mb)

    @property
    def step_mb(self) -> int:
        """Grants are multiples of this, except for one that the maximum cuts short."""
        if self.kind == "capacity":
            return self.minimum_allocation_mb
        return self.increment_allocation_mb or 1024

    def normalize(self, requested_mib: int) -> int:
        """What a request becomes. Spark never sends one above the maximum: see `container`."""
        steps = -(-max(requested_mib, self.minimum_allocation_mb) // self.step_mb)
        return min(steps * self.step_mb, self.maximum_allocation_mb)


def container(
    conf: Mapping | None = None,
    *,
    role: str = "executor",
    cluster_manager: str = "standalone",
    spark_version: str = LATEST,
    deploy_mode: str = "client",
    language: str = "jvm",
    scheduler: YarnScheduler | None = None,
) -> Container:
    """The container of an executor or of the driver.

    `conf` holds Spark settings as text. `language` is that of the application. On YARN, give the
    `scheduler` to have the request checked and rounded as that cluster would.

    Not every process gets a container of its own. In client mode the driver runs where it was
    started: on YARN the container is then that of the application master that asks for executors
    in its name; elsewhere the answer is the driver's bare heap. Standalone accounts for heaps
    alone. In local mode the driver is the executor, so both roles give the driver's heap.

    Raises ValueError, in Spark's words, for settings that Spark refuses and for a request that is
    larger than YARN's maximum; in ours for a combination that does not exist.
    Source: ``Client`` of Spark on YARN, ``BasicDriverFeatureStep`` and
    ``BasicExecutorFeatureStep`` on Kubernetes, ``ResourceProfile``.
    """
    conf = conf or {}
    _one_of("role", role, ROLES)
    _one_of("cluster_manager", cluster_manager, CLUSTER_MANAGERS)
    _one_of("deploy_mode", deploy_mode, DEPLOY_MODES)
    _one_of("language", language, LANGUAGES)
    since = version(spark_version)
    if since < (1, 6):
        raise ValueError(f"containers are modelled from Spark 1.6 on, not for {spark_version}")
    if scheduler is not None and cluster_manager != "yarn":
        raise ValueError(
            f"a YarnScheduler goes with cluster_manager='yarn', not {cluster_manager!r}"
        )

    if cluster_manager == "yarn":
        asked = _on_yarn(conf, role, spark_version, deploy_mode, language)
        return asked if scheduler is None else _granted(asked, scheduler, spark_version)
    if cluster_manager == "kubernetes":
        return _on_kubernetes(conf, role, spark_version, deploy_mode, language)
    if cluster_manager == "local":
        role = "driver"
    return Container(role, _memory(conf, role, spark_version))


def _on_yarn(conf, role, spark_version, deploy_mode, language) -> Container:
    since = version(spark_version)
    if role == "driver" and deploy_mode == "client":
        memory = _memory(conf, "yarn.am", spark_version)
        overhead = read(conf, "spark.yarn.am.memoryOverhead", spark_version)
        if overhead is None:
            overhead = max(
                java_integer(AM_MEMORY_OVERHEAD_FACTOR * memory, bits=32), MEMORY_OVERHEAD_MIN_MIB
            )
        return Container("application master", memory, overhead)

    memory = _memory(conf, role, spark_version)
    factor = read(conf, f"spark.{role}.memoryOverheadFactor", spark_version)
    overhead = _overhead(conf, role, memory, factor, spark_version)
    if role == "driver":
        return Container(role, memory, overhead)
    off_heap = _off_heap(conf, spark_version) if since >= (3, 0) else 0
    python = language == "python"
    return Container(role, memory, overhead, off_heap, _pyspark(conf, python, spark_version))


def _on_kubernetes(conf, role, spark_version, deploy_mode, language) -> Container:
    since = version(spark_version)
    if since < (2, 3):
        raise ValueError(f"Spark runs on Kubernetes since version 2.3, not {spark_version}")
    if since < (2, 4) and deploy_mode == "client":
        raise ValueError("Client mode is currently not supported for Kubernetes.")
    if since < (2, 4) and language == "python":
        raise ValueError("Python applications are currently not supported for Kubernetes.")
    memory = _memory(conf, role, spark_version)
    if role == "driver" and deploy_mode == "client":
        return Container(role, memory)

    # The application's language is known to executors only from the driver's step, which prepares
    # the driver's pod: without one, in client mode, a Python application passes for a JVM's.
    python = language == "python" and deploy_mode == "cluster"
    factor = _kubernetes_factor(conf, role, python, spark_version)
    overhead = _overhead(conf, role, memory, factor, spark_version)
    if role == "driver":
        return Container(role, memory, overhead)
    off_heap = _off_heap(conf, spark_version) if since >= (3, 1) else 0
    return Container(role, memory, overhead, off_heap, _pyspark(conf, python, spark_version))


def _kubernetes_factor(conf, role, python, spark_version) -> float:
    of_role = f"spark.{role}.memoryOverheadFactor"
    of_all = "spark.kubernetes.memoryOverheadFactor"
    if is_set(conf, of_role, spark_version):
        return read(conf, of_role, spark_version)
    if python and not is_set(conf, of_all, spark_version):
        return NON_JVM_MEMORY_OVERHEAD_FACTOR
    return read(conf, of_all, spark_version)


def _memory(conf, of, spark_version) -> int:
    key = f"spark.{of}.memory"
    memory = read(conf, key, spark_version)
    if memory <= 0:
        who = "Application master" if of == "yarn.am" else of.capitalize()
        raise ValueError(f"{who} memory must be a positive number. {key} comes to {memory} MiB")
    return memory


def _overhead(conf, role, memory, factor, spark_version) -> int:
    """Versions that do not know a setting get its default, which was then Spark's constant.

    Source: ``ResourceProfile.calculateOverHeadMemory``.
    """
    explicit = read(conf, f"spark.{role}.memoryOverhead", spark_version)
    if explicit is not None:
        return explicit
    minimum = read(conf, f"spark.{role}.minMemoryOverhead", spark_version)
    return max(java_integer(factor * memory, bits=32), minimum)


def _off_heap(conf, spark_version) -> int:
    """Source: ``Utils.executorOffHeapMemorySizeAsMb``."""
    if not read(conf, "spark.memory.offHeap.enabled", spark_version):
        return 0
    off_heap = read(conf, "spark.memory.offHeap.size", spark_version) // MIB
    if off_heap <= 0:
        least = "at least 1MiB" if version(spark_version) >= (4, 3) else "> 0"
        raise ValueError(
            f"requirement failed: spark.memory.offHeap.size must be {least} "
            "when spark.memory.offHeap.enabled == true"
        )
    return off_heap


def _pyspark(conf, python, spark_version) -> int:
    memory = read(conf, "spark.executor.pyspark.memory", spark_version) if python else None
    return memory or 0


def _granted(asked: Container, scheduler: YarnScheduler, spark_version: str) -> Container:
    """The request after YARN's rounding. Source: ``Client.verifyClusterResources``."""
    maximum = scheduler.maximum_allocation_mb
    if asked.requested_mib > maximum:
        raise ValueError(_above_maximum(asked, maximum, version(spark_version)))
    rounding = scheduler.normalize(asked.requested_mib) - asked.requested_mib
    return replace(asked, rounding_mib=rounding)


def _above_maximum(asked: Container, maximum: int, since: tuple[int, ...]) -> str:
    memory, overhead = asked.memory_mib, asked.overhead_mib
    off_heap, pyspark = asked.off_heap_mib, asked.pyspark_mib
    check = (
        "Please check the values of 'yarn.scheduler.maximum-allocation-mb' and/or "
        "'yarn.nodemanager.resource.memory-mb'."
    )
    if asked.name != "executor":
        if since < (2, 4):
            check = "Please increase the value of 'yarn.scheduler.maximum-allocation-mb'."
        parts = f"AM memory ({memory}+{overhead} MB)"
    elif since < (2, 4):
        parts = f"executor memory ({memory}+{overhead} MB)"
    else:
        first = (
            f"executor memory ({memory} MB)" if since >= (3, 1) else f"executor memory ({memory})"
        )
        second = f"offHeap memory ({off_heap}) MB, " if since >= (3, 0) else ""
        parts = f"{first}, {second}overhead ({overhead} MB), and PySpark memory ({pyspark} MB)"
    return f"Required {parts} is above the max threshold ({maximum} MB) of this cluster! {check}"


@dataclass(frozen=True)
class NodeFit:
    """How many `executors`, each in its `container`, one node holds; memory in MiB.

    `limited_by` is what the next one would lack: ``"memory"``, ``"cores"`` or
    ``"memory and cores"``. `unused_cores` is None where cores were not counted.
    """

    container: Container
    node_memory_mib: int
    reserved_memory_mib: int
    executors: int
    limited_by: str
    unused_cores: int | None

    @property
    def unused_memory_mib(self) -> int:
        """Memory of the node that no container takes and nothing else was promised."""
        taken = self.executors * self.container.granted_mib
        return self.node_memory_mib - self.reserved_memory_mib - taken

    def region(self) -> Region:
        """The node as a tree in bytes: what is set aside, each executor, and what is unused."""
        executor = self.container.region()
        parts = (
            Region("system", "process", self.reserved_memory_mib * MIB),
            *(
                Region(f"executor {n}", executor.kind, executor.size, children=executor.children)
                for n in range(1, self.executors + 1)
            ),
            Region("unused", "unassigned", self.unused_memory_mib * MIB),
        )
        children = tuple(part for part in parts if part.size)
        return Region("node", "node", self.node_memory_mib * MIB, children=children)


def executors_per_node(
    container: Container,
    *,
    node_memory_mib: int,
    node_cores: int | None = None,
    executor_cores: int | None = None,
    reserved_memory_mib: int = 0,
) -> NodeFit:
    """How many executors in such containers run on one node at once.

    `reserved_memory_mib` is what the node keeps for its system and daemons; on YARN give
    ``yarn.nodemanager.resource.memory-mb`` as the node's memory instead. Without `node_cores`,
    cores are not counted, which is how YARN's capacity scheduler fits containers unless told
    otherwise. `executor_cores` is 1 unless given, Spark's own default on YARN and Kubernetes.

    A container too large for the node gives 0 executors. Raises ValueError for sizes and cores
    that are not positive, and for a reserve larger than the node.
    """
    memory = _room(node_memory_mib, reserved_memory_mib)
    by_memory = memory // container.granted_mib
    if node_cores is None:
        if executor_cores is not None:
            raise ValueError("executor_cores counts against node_cores: give both or neither")
        return NodeFit(container, node_memory_mib, reserved_memory_mib, by_memory, "memory", None)
    executor_cores = 1 if executor_cores is None else executor_cores
    if executor_cores <= 0:
        raise ValueError(f"Executor cores must be a positive number, not {executor_cores}")
    _positive("node_cores", node_cores)
    by_cores = node_cores // executor_cores
    executors = min(by_memory, by_cores)
    short = {"memory": by_memory, "cores": by_cores}
    limited_by = " and ".join(what for what, most in short.items() if most == executors)
    unused_cores = node_cores - executors * executor_cores
    return NodeFit(
        container, node_memory_mib, reserved_memory_mib, executors, limited_by, unused_cores
    )


def largest_heap(
    executors: int,
    conf: Mapping | None = None,
    *,
    node_memory_mib: int,
    reserved_memory_mib: int = 0,
    scheduler: YarnScheduler | None = None,
    **how,
) -> int:
    """The largest `spark.executor.memory`, in MiB, with which a node holds that many executors.

    All other settings stay as in `conf`, and `how` is passed on to `container`. 0 where not even
    the smallest heap leaves room. Below 450 MiB an executor would not start: see `heap`.

    Raises ValueError as `container` and `executors_per_node` do.
    """
    _positive("executors", executors)
    share = _room(node_memory_mib, reserved_memory_mib) // executors

    def too_large(memory: int) -> bool:
        settings = {**(conf or {}), "spark.executor.memory": f"{memory}m"}
        asked = container(settings, **how).requested_mib
        if scheduler is None:
            return asked > share
        return asked > scheduler.maximum_allocation_mb or scheduler.normalize(asked) > share

    return bisect_left(range(1, share + 1), True, key=too_large)


def _room(node_memory_mib: int, reserved_memory_mib: int) -> int:
    _positive("node_memory_mib", node_memory_mib)
    if not 0 <= reserved_memory_mib <= node_memory_mib:
        raise ValueError(
            f"reserved_memory_mib lies between 0 and the node's {node_memory_mib} MiB, "
            f"not {reserved_memory_mib}"
        )
    return node_memory_mib - reserved_memory_mib


def _positive(name: str, value: int) -> None:
    if value <= 0:
        raise ValueError(f"{name} must be a positive number, not {value}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is one of {', '.join(known)}, not {value!r}")
