"""The control messages, each the JSON payload of one kind of frame (`frames.FrameKind` of the same name)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.base import TableReference
from penstock_server.engines.duckdb.column_tests import TableConjuncts
from penstock_server.engines.duckdb.objects.paths import ObjectPath
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape, VisibleTable
from penstock_server.model.objects import StoredObject
from penstock_server.model.predicate import Constant
from penstock_server.model.resource import TableName
from penstock_server.model.schema import TableSchema, TypeFamily


class ChildKind(StrEnum):
    """What a forked child is for; it keeps this purpose for its one conversation."""

    SEALED_WORKER = "sealed worker"
    SOURCE_READER = "source reader"
    EXTRACT_BUILDER = "extract builder"
    INSPECTOR = "inspector"
    RULES_LISTER = "rules lister"
    PROBE = "probe"
    ICEBERG_PLANNER = "iceberg planner"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRequest:
    """Front to zygote, with one descriptor: the child's end of the conversation. `number` marks the answer."""

    number: int
    kind: ChildKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkReply:
    """Zygote to front, with the child's pidfd; `process` is 0 and `problem` an errno's name where it failed."""

    number: int
    process: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """OPEN: budgets of the child, and what it may read: nothing for a sealed worker.

    `file_bytes` bounds a file that it writes through a descriptor; only a builder may.
    """

    memory_bytes: int
    threads: int
    readable: tuple[Path, ...]
    file_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """OPENED: the barriers stand and the instance is warm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseRequest:
    """PARSE: the caller's verbatim text."""

    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseReply:
    """PARSED: the base tables that the statement names; `lists_tables` = it asks which there are instead."""

    tables: tuple[TableReference, ...]
    lists_tables: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BindRequest:
    """BIND: the governed shape of each table, and the values of the statement's parameters, whose `names` may be none.

    `visible` are the tables that a statement which asks for them is shown, by names without a catalog those of
    `catalog`.
    """

    tables: tuple[TableShape, ...]
    parameters: tuple[Constant | None, ...]
    visible: tuple[VisibleTable, ...] = ()
    catalog: str | None = None
    names: tuple[str, ...] = ()

    def values(self) -> tuple[Constant | None, ...] | dict[str, Constant | None]:
        """Give the values as the statement asks for them: in order, or by name."""
        return dict(zip(self.names, self.parameters, strict=True)) if self.names else self.parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class BindReply:
    """BOUND: comes after a SCHEMA frame with the result's schema; where that is empty, another comes first of RUN."""

    used_columns: tuple[tuple[TableName, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyRequest:
    """SUPPLY, with a descriptor: the read end of the pipe on which the canonical stream of this table comes.

    Past `most_bytes` the stream is declined; None = no bound.
    """

    table: TableName
    columns: tuple[str, ...]
    most_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyDeclined:
    """DECLINED: the stream was longer than was asked for; nothing of it was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConjunctsRequest:
    """CONJUNCTS: what the references of each table ask of its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConjunctsReply:
    """CONJOINED: what they ask; a table of which not all ask something is left out."""

    tables: tuple[TableConjuncts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRequest:
    """ATTACH, with a descriptor: a sealed memory file that holds `columns` of this table, and its rows."""

    table: TableName
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCount:
    """SUPPLIED, ATTACHED, END, FINISHED: how many rows were taken in, or given."""

    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """RUN: the statement that was parsed; past `max_rows` it ends in an error, None = no bound."""

    max_rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsRequest:
    """OBJECTS, with a descriptor: the socket on which a courier brings ranges of these objects, by their number.

    It comes before READ and INSPECT where there are any.
    """

    objects: tuple[ObjectPath, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """PLAN: which of the objects that came before is the metadata of an Iceberg table. PLANNED is an `IcebergPlan`."""

    metadata: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """READ, with a descriptor: the write end of the pipe. `statement` was printed from a decision, never by a caller.

    `readable` are the only paths that the reader may open from here on. `attached` is a database file for the
    statement to read from, or None.
    """

    # SECURITY: it holds the keys of masks.
    statement: str = field(repr=False)
    readable: tuple[Path, ...]
    attached: Path | None


class ReadOutcome(StrEnum):
    """How reading a source ended."""

    DONE = "done"
    FAULT = "fault"
    STOPPED = "stopped"  # the worker at the other end of the pipe is gone, or took no more


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReply:
    """READ_DONE: `fault` is the class of the error, for the operator; never its text, which may hold cells."""

    outcome: ReadOutcome
    rows: int
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """BUILD, with a descriptor: the memory file to fill. `columns` as they are to stand in it; none = rows alone."""

    columns: tuple[ShapedColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRequest:
    """FILL, with a descriptor: the read end of the pipe on which the canonical stream comes."""


class BuildOutcome(StrEnum):
    """How a building ended."""

    DONE = "done"
    CUT = "cut"  # the stream: the reader tells why
    DOES_NOT_FIT = "does not fit"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReply:
    """BUILT: how it ended, and how many rows the file holds."""

    outcome: BuildOutcome
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedColumn:
    """A column of a result: its name and what its values are."""

    name: str
    family: TypeFamily


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReply:
    """LISTED: the columns of the result whose schema came with LIST."""

    columns: tuple[ListedColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """PROBE: what a sealed child must not reach: the paths of sources, its front, and another sealed child."""

    paths: tuple[Path, ...]
    front: int
    neighbour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReply:
    """PROBED: how many attempts were made, and the names of those that succeeded."""

    attempts: int
    breaches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectRequest:
    """INSPECT: the catalog to look at, and the objects of one on S3, in the order of OBJECTS."""

    catalog: CatalogSettings
    objects: tuple[StoredObject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectReply:
    """INSPECTED: the tables, or `problems` in words for the operator."""

    tables: tuple[TableSchema, ...]
    problems: tuple[str, ...]
