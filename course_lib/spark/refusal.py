"""What Spark throws, as a Python error in Spark's own words."""

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException

# What Java wraps around the exception that matters.
_WRAPPERS = ("java.lang.reflect.InvocationTargetException", "java.lang.ExceptionInInitializerError")


class SparkRefusal(ValueError):
    """Spark threw an exception: `java_class` is its class, `message` what Spark wrote in it."""

    def __init__(self, java_class: str, message: str):
        self.java_class, self.message = java_class, message
        super().__init__(f"{java_class}: {message}")


@contextmanager
def in_sparks_words() -> Iterator[None]:
    """Turn what Spark throws into a `SparkRefusal`: around a ``with`` block or a whole function."""
    try:
        yield
    except Py4JJavaError as error:
        thrown = error.java_exception
        while thrown.getClass().getName() in _WRAPPERS:
            thrown = thrown.getCause()
        raise SparkRefusal(thrown.getClass().getName(), thrown.getMessage() or "") from None
    except CapturedException as error:  # what PySpark has made of a Java exception
        java_class = error._origin.getClass().getName() if error._origin else type(error).__name__
        raise SparkRefusal(java_class, error._desc or "") from None
