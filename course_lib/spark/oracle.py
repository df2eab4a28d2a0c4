"""Ask Spark itself: its own memory classes, in a JVM with Spark's jars and no SparkContext.

Each method is a thin call of the Spark class named in its docstring; where Spark refuses, its own
words come back as a `SparkRefusal`.
"""

from collections.abc import Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import NamedTuple

from py4j.java_gateway import JavaObject

from course_lib.spark.jvm import Jvm
from course_lib.spark.refusal import in_sparks_words

# Objects that declare settings when they are loaded.
_CONFIG_OBJECTS = (
    "org.apache.spark.internal.config.package$",
    "org.apache.spark.internal.config.Python$",
    "org.apache.spark.internal.config.Kryo$",
    "org.apache.spark.internal.config.UI$",
    "org.apache.spark.internal.config.Status$",
    "org.apache.spark.internal.config.Worker$",
    "org.apache.spark.internal.config.Deploy$",
    "org.apache.spark.internal.config.History$",
    "org.apache.spark.internal.config.Tests$",
    "org.apache.spark.deploy.k8s.Config$",
    "org.apache.spark.deploy.yarn.config.package$",
    "org.apache.spark.sql.internal.SQLConf$",
)

_YARN_MEMORY_FIELDS = (
    "amMemory",
    "amMemoryOverhead",
    "executorMemory",
    "executorOffHeapMemory",
    "executorMemoryOverhead",
    "pysparkWorkerMemory",
)


class ExecutorMemory(NamedTuple):
    """The parts of what a cluster manager is asked for one executor, in MiB."""

    memory: int
    overhead: int
    off_heap: int
    pyspark: int
    total: int


class YarnMemory(NamedTuple):
    """What YARN's client works out before it asks the cluster for anything, in MiB.

    `am` is the application master: the driver in cluster mode.
    """

    am: int
    am_overhead: int
    executor: int
    executor_off_heap: int
    executor_overhead: int
    executor_pyspark: int


class Oracle:
    """Spark's own classes, to be asked inside a ``with`` block (or between `start` and `stop`).

    Settings are given as a dict of strings, as they would stand in ``spark-defaults.conf``.
    """

    def __init__(self):
        self._process = Jvm("256m", native_memory_tracking=False, spark_jars=True)

    def __enter__(self) -> "Oracle":
        return self.start()

    def __exit__(self, *_exception) -> None:
        self.stop()

    def start(self) -> "Oracle":
        """Start the JVM and look up the classes that will be asked."""
        self._process.start()
        try:
            self._look_up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the JVM."""
        self._process.stop()

    @property
    def jvm(self):
        """Py4J's view of the JVM, for questions that have no method here."""
        return self._process.jvm

    def _look_up(self) -> None:
        self._class = self.jvm.java.lang.Class
        self._spark_conf = self.jvm.org.apache.spark.SparkConf
        self._none = self._object("scala.None$")
        self._config = self._object("org.apache.spark.internal.config.package$")
        self._utils = self._object("org.apache.spark.util.Utils$")
        self._managers = self._object("org.apache.spark.memory.UnifiedMemoryManager$")
        self._get_max_memory = self._opened(self._managers.getClass(), "Method", "getMaxMemory")
        self._profiles = self._object("org.apache.spark.resource.ResourceProfile$")
        self._empty_map = self._object("scala.Predef$").Map().empty()

    # The rest takes longer to load and is looked up when it is first asked.

    @cached_property
    def _config_entries(self) -> JavaObject:
        for name in _CONFIG_OBJECTS:
            self._class.forName(name)
        return self._object("org.apache.spark.internal.config.ConfigEntry$")

    @cached_property
    def _kubernetes(self) -> SimpleNamespace:
        kubernetes = self.jvm.org.apache.spark.deploy.k8s
        return SimpleNamespace(
            conf=self._object("org.apache.spark.deploy.k8s.KubernetesConf$"),
            bare_pod=self._object("org.apache.spark.deploy.k8s.SparkPod$").initialPod(),
            security_manager=self.jvm.org.apache.spark.SecurityManager,
            executor_step=kubernetes.features.BasicExecutorFeatureStep,
            driver_step=kubernetes.features.BasicDriverFeatureStep,
            main={
                "java": kubernetes.submit.JavaMainAppResource(self._none),
                "python": kubernetes.submit.PythonMainAppResource("main.py"),
                "r": kubernetes.submit.RMainAppResource("main.r"),
            },
        )

    @cached_property
    def _yarn(self) -> SimpleNamespace:
        client = self._class.forName("org.apache.spark.deploy.yarn.Client")
        hadoop = self.jvm.org.apache.hadoop.yarn
        return SimpleNamespace(
            client=self.jvm.org.apache.spark.deploy.yarn.Client,
            arguments=self.jvm.org.apache.spark.deploy.yarn.ClientArguments,
            memory=[self._opened(client, "Field", name) for name in _YARN_MEMORY_FIELDS],
            verify=self._opened(client, "Method", "verifyClusterResources"),
            response=hadoop.api.protocolrecords.impl.pb.GetNewApplicationResponsePBImpl,
            resource=hadoop.api.records.Resource,
            calculator=hadoop.util.resource.DefaultResourceCalculator(),
        )

    def _object(self, name: str) -> JavaObject:
        """A Scala object: the single instance of a class whose name ends in ``$``."""
        return self._class.forName(name).getField("MODULE$").get(None)

    def _opened(self, java_class: JavaObject, kind: str, name: str) -> JavaObject:
        """A private "Method" or "Field" of a class, made accessible."""
        members = getattr(java_class, f"getDeclared{kind}s")()
        member = next(member for member in members if member.getName() == name)
        member.setAccessible(True)
        return member

    def conf(self, settings: Mapping[str, str]) -> JavaObject:
        """A ``SparkConf`` with these settings and no others."""
        conf = self._spark_conf(False)
        for key, value in settings.items():
            if not isinstance(value, str):
                raise TypeError(f"{key}: settings are strings, not {value!r}")
            conf.set(key, value)
        return conf

    # Sizes

    @in_sparks_words()
    def byte_string_as_bytes(self, text: str) -> int:
        """Bytes in a size string. Source: ``Utils.byteStringAsBytes``."""
        return self._utils.byteStringAsBytes(text)

    @in_sparks_words()
    def byte_string_as_mib(self, text: str) -> int:
        """Whole MiB in a size string. Source: ``Utils.byteStringAsMb``."""
        return self._utils.byteStringAsMb(text)

    @in_sparks_words()
    def bytes_to_string(self, size: int) -> str:
        """A number of bytes as Spark's logs write it. Source: ``Utils.bytesToString(Long)``."""
        return self._utils.bytesToString(size)

    # Settings

    def config_default(self, key: str) -> str | None:
        """A setting's default as Spark documents it, None where it has none.

        Raises KeyError for a key that Spark does not declare. Source: ``ConfigEntry``.
        """
        default = self._entry(key).defaultValueString()
        return None if default == self._config_entries.UNDEFINED() else default

    def config_since(self, key: str) -> str:
        """The Spark version that brought a setting. Source: ``ConfigEntry.version``."""
        return self._entry(key).version()

    @in_sparks_words()
    def config_written(self, key: str, text: str) -> str:
        """The value `text` of a setting, as Spark reads and writes it (1g: ``1073741824b``).

        Source: ``ConfigEntry.valueConverter`` and ``ConfigEntry.stringConverter``.
        """
        entry = self._entry(key)
        return entry.valueConverter().andThen(entry.stringConverter()).apply(text)

    @in_sparks_words()
    def validate_settings(self, conf: Mapping[str, str]) -> None:
        """Refuse what a SparkContext refuses before anything starts.

        Source: ``SparkConf.validateSettings``.
        """
        self.conf(conf).validateSettings()

    def _entry(self, key: str) -> JavaObject:
        entry = self._config_entries.findEntry(key)
        if entry is None:
            raise KeyError(f"this Spark declares no setting {key!r}")
        return entry

    # The heap

    @in_sparks_words()
    def get_max_memory(
        self, conf: Mapping[str, str], system_memory: int, is_driver: bool = True
    ) -> int:
        """Bytes that storage and execution share in a heap of `system_memory` bytes.

        `system_memory` goes in as ``spark.testing.memory``, for which Spark keeps the reserve of
        300 MiB unless `conf` sets ``spark.testing`` or ``spark.testing.reservedMemory``.
        Source: ``UnifiedMemoryManager.getMaxMemory``.
        """
        spark_conf = self._sized(conf, system_memory)
        return self._get_max_memory.invoke(
            self._managers, self._process.array("Object", spark_conf, is_driver)
        )

    @in_sparks_words()
    def unified_memory_manager(
        self, conf: Mapping[str, str], system_memory: int, num_cores: int, is_driver: bool = True
    ) -> JavaObject:
        """Spark's memory manager itself, as it would be in a heap of `system_memory` bytes.

        Call its methods by their Scala names (``maxHeapMemory()``, ``pageSizeBytes()``); it has no
        MemoryStore, so nothing can be evicted from it.
        Source: ``UnifiedMemoryManager.apply``.
        """
        return self._managers.apply(self._sized(conf, system_memory), num_cores, is_driver)

    def _sized(self, conf: Mapping[str, str], system_memory: int) -> JavaObject:
        return self.conf({**conf, "spark.testing.memory": str(system_memory)})

    # Containers

    @in_sparks_words()
    def calculate_overhead_memory(self, memory: int, minimum: int, factor: float) -> int:
        """MiB of overhead for `memory` MiB. Source: ``ResourceProfile.calculateOverHeadMemory``."""
        return self._profiles.calculateOverHeadMemory(self._none, minimum, memory, factor)

    @in_sparks_words()
    def executor_memory(self, conf: Mapping[str, str], is_python: bool = False) -> ExecutorMemory:
        """The parts of an executor's container, with the factor and minimum that YARN takes.

        Source: ``ResourceProfile.getResourcesForClusterManager``, as ``YarnAllocator`` calls it.
        """
        spark_conf = self.conf(conf)
        profile = self._profiles.reInitDefaultProfile(spark_conf)
        resources = self._profiles.getResourcesForClusterManager(
            profile.id(),
            profile.executorResources(),
            spark_conf.get(self._config.EXECUTOR_MIN_MEMORY_OVERHEAD()),
            spark_conf.get(self._config.EXECUTOR_MEMORY_OVERHEAD_FACTOR()),
            spark_conf,
            is_python,
            self._empty_map,
        )
        return ExecutorMemory(
            resources.executorMemoryMiB(),
            resources.memoryOverheadMiB(),
            resources.memoryOffHeapMiB(),
            resources.pysparkMemoryMiB(),
            resources.totalMemMiB(),
        )

    @in_sparks_words()
    def kubernetes_executor_memory(self, conf: Mapping[str, str]) -> int:
        """MiB that an executor's pod requests. Source: ``BasicExecutorFeatureStep``.

        In cluster mode executors also see what the driver's step passes on to them: add
        `kubernetes_driver_properties` to `conf`, and ``spark.kubernetes.resource.type``, which
        spark-submit sets (java, python or r).
        """
        spark_conf = self._pod_conf(conf)
        profile = self._profiles.reInitDefaultProfile(spark_conf)
        kubernetes = self._kubernetes
        step = kubernetes.executor_step(
            kubernetes.conf.createExecutorConf(spark_conf, "1", "app", self._none, 0),
            kubernetes.security_manager(spark_conf, self._none, self._config.AUTH_SECRET_FILE()),
            profile,
        )
        return self._memory_request(step)

    @in_sparks_words()
    def kubernetes_driver_memory(self, conf: Mapping[str, str], main: str = "java") -> int:
        """MiB that the driver's pod requests in cluster mode. Source: ``BasicDriverFeatureStep``.

        `main` says what the application is: "java", "python" or "r".
        """
        return self._memory_request(self._pod_step(conf, main))

    @in_sparks_words()
    def kubernetes_driver_properties(
        self, conf: Mapping[str, str], main: str = "java"
    ) -> dict[str, str]:
        """The settings that the driver's step hands on to the executors in cluster mode.

        Source: ``BasicDriverFeatureStep.getAdditionalPodSystemProperties``.
        """
        properties = self._pod_step(conf, main).getAdditionalPodSystemProperties()
        pairs = properties.toList()
        return {pairs.apply(i)._1(): pairs.apply(i)._2() for i in range(pairs.size())}

    def _pod_step(self, conf: Mapping[str, str], main: str) -> JavaObject:
        kubernetes = self._kubernetes
        if main not in kubernetes.main:
            raise ValueError(f"an application is one of {', '.join(kubernetes.main)}, not {main!r}")
        arguments = self._process.array("String")
        driver_conf = kubernetes.conf.createDriverConf(
            self._pod_conf(conf), "app", kubernetes.main[main], "Main", arguments, self._none
        )
        return kubernetes.driver_step(driver_conf)

    def _pod_conf(self, conf: Mapping[str, str]) -> JavaObject:
        # What the steps insist on, none of it about memory.
        needed = {
            "spark.app.name": "app",
            "spark.driver.host": "driver",
            "spark.driver.port": "7078",
            "spark.kubernetes.container.image": "image",
        }
        return self.conf({**needed, **conf})

    def _memory_request(self, step: JavaObject) -> int:
        resources = step.configurePod(self._kubernetes.bare_pod).container().getResources()
        requests, limits = resources.getRequests(), resources.getLimits()
        request, limit = requests.get("memory").toString(), limits.get("memory").toString()
        if request != limit or not request.endswith("Mi"):
            raise AssertionError(f"memory request {request} and limit {limit}: not the same MiB")
        return int(request.removesuffix("Mi"))

    @in_sparks_words()
    def yarn_memory(self, conf: Mapping[str, str]) -> YarnMemory:
        """What YARN's client works out; ``spark.submit.deployMode`` in `conf` says for which mode.

        Source: the fields of ``org.apache.spark.deploy.yarn.Client``.
        """
        client = self._yarn_client(conf)
        return YarnMemory(*(field.get(client) for field in self._yarn.memory))

    @in_sparks_words()
    def yarn_verify(self, conf: Mapping[str, str], maximum: int) -> None:
        """Refuse as YARN's client does where the cluster's largest container has `maximum` MiB.

        Source: ``Client.verifyClusterResources``.
        """
        response = self._yarn.response()
        response.setMaximumResourceCapability(self._yarn.resource.newInstance(maximum, 1))
        question = self._process.array("Object", response)
        self._yarn.verify.invoke(self._yarn_client(conf), question)

    @in_sparks_words()
    def yarn_normalized(self, request: int, minimum: int, maximum: int, increment: int) -> int:
        """What YARN's resource manager makes of a request, all in MiB.

        Source: Hadoop's ``DefaultResourceCalculator.normalize``.
        """
        sizes = (request, minimum, maximum, increment)
        resources = (self._yarn.resource.newInstance(size, 1) for size in sizes)
        return self._yarn.calculator.normalize(*resources).getMemorySize()

    def _yarn_client(self, conf: Mapping[str, str]) -> JavaObject:
        arguments = self._yarn.arguments(self._process.array("String"))
        return self._yarn.client(arguments, self.conf(conf), None)
