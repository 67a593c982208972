"""Which properties of Spark a caller may set, each with why: whatever the list does not have is refused.

A job may run any code, and its session policy holds it. What counts here is what the *service* does with a property,
before or beside the session: it mounts images, takes other roles, or turns on a mode of its own. Every name of this
list is read inside the job alone, or sizes it within what the application allows.

Source: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-spark.html (properties that the service
reads); https://spark.apache.org/docs/latest/configuration.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ALLOWED_PREFIXES: Final[Mapping[str, str]] = {
    "spark.sql.": "plans and catalogs of the program itself",
    "spark.dynamicAllocation.": "how many executors there are, within the capacity of the application",
    "spark.shuffle.": "how executors of one job hand data to each other",
    "spark.memory.": "how the memory of a process is divided",
    "spark.kryoserializer.": "buffers of a serializer inside the job",
}
ALLOWED: Final[Mapping[str, str]] = {
    "spark.executor.cores": "size",
    "spark.executor.memory": "size",
    "spark.executor.memoryOverhead": "size",
    "spark.executor.instances": "size",
    "spark.driver.cores": "size",
    "spark.driver.memory": "size",
    "spark.driver.memoryOverhead": "size",
    "spark.driver.maxResultSize": "size",
    "spark.task.cpus": "size",
    "spark.task.maxFailures": "how often a task is tried",
    "spark.default.parallelism": "how data is divided",
    "spark.serializer": "a class inside the job",
    "spark.app.name": "a name inside the job",
    "spark.emr-serverless.driver.disk": "size",
    "spark.emr-serverless.executor.disk": "size",
}
FILES: Final[Mapping[str, str]] = {
    "spark.jars": "programs that are fetched",
    "spark.files": "files that are fetched",
    "spark.archives": "archives that are fetched",
    "spark.submit.pyFiles": "modules that are fetched",
}
"""Properties whose values are `s3://` objects, separated by commas: each must lie within what is asked to be read."""


def is_allowed(name: str) -> bool:
    """Tell whether a caller may set a property whose value names no file."""
    return name in ALLOWED or any(name.startswith(prefix) and len(name) > len(prefix) for prefix in ALLOWED_PREFIXES)
