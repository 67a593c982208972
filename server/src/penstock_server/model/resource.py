"""What is asked for: tables by name, AWS resources by ARN, Redshift logins by configured name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(name: str) -> str:
    """Fold a catalog name as the engine does: ASCII letters only.

    DuckDB: folds ASCII only; Python's `lower()` would merge names that the engine keeps apart (2.0.0).
    """
    return name.translate(_ASCII_LOWER)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TableName:
    """A table of a catalog, spelled as the catalog spells it; compare `key()`, which is folded."""

    catalog: str
    database: str
    table: str

    def key(self) -> tuple[str, str, str]:
        """The folded name, equal for all spellings of one table."""
        return fold(self.catalog), fold(self.database), fold(self.table)

    def __str__(self) -> str:
        return f"{self.catalog}.{self.database}.{self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """A bucket and a key prefix, compared on raw bytes: nothing is decoded, folded or collapsed.

    `key` may be empty (the whole bucket). `s3`, `s3a` and `s3n` are one scheme.
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Door(StrEnum):
    """A way by which data reaches a principal."""

    QUERY = "query"
    AWS = "aws"
    REDSHIFT = "redshift"
    SPARK = "spark"


class TablePermission(StrEnum):
    """What a grant may give on a table; SELECT implies DESCRIBE, RAW stands alone."""

    SELECT = "SELECT"
    DESCRIBE = "DESCRIBE"
    RAW = "RAW"


class S3Permission(StrEnum):
    """What a grant may give on S3 objects."""

    READ = "READ"
    LIST = "LIST"
    WRITE = "WRITE"
    VERSIONS = "VERSIONS"
    DELETE = "DELETE"
