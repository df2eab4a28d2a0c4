"""Real Spark and real JVMs: find a Java, start, measure, ask, and look at the remains.

The names below are loaded when first used, so that importing this package costs nothing.
"""

from importlib import import_module

_HOME_OF = {
    "Java": "java",
    "NoJavaError": "java",
    "find_java": "java",
    "java_env": "java",
    "Jvm": "jvm",
    "JvmDiedError": "jvm",
    "JvmOutOfMemoryError": "jvm",
    "Oracle": "oracle",
    "SparkRefusal": "oracle",
}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
