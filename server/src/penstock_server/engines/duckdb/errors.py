"""Failures of DuckDB as errors of ours; with `failures` and `error_encoding`, all that an edge of the engine needs.

One table says what each exception class of the driver means while a caller's statement is parsed, bound and run; the
most specific class wins and an unknown one is INTERNAL. What a *reader* fails with is never told apart: every fault
of a source is one fixed text (`unreadable`).

Imports neither DuckDB nor Arrow: exceptions are known by the names of their classes, so that the front may load it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from penstock_server.engines.duckdb.error_encoding import from_json, to_json
from penstock_server.engines.duckdb.failures import internal, shorten, table_not_found, too_deep, unreadable
from penstock_server.errors import LimitExceeded, PenstockError, QueryError, Reason

__all__ = [
    "MEANING",
    "STREAMED_MEANING",
    "UNSUPPLIED",
    "character_position",
    "from_json",
    "internal",
    "is_unsupplied",
    "of_syntax",
    "table_not_found",
    "to_json",
    "too_deep",
    "translate",
    "unreadable",
]

MEANING: dict[str, Reason] = {
    "ParserException": Reason.SQL_SYNTAX,
    "SyntaxException": Reason.SQL_SYNTAX,
    "BinderException": Reason.SQL_BINDING,
    "CatalogException": Reason.SQL_BINDING,
    "NotImplementedException": Reason.SQL_BINDING,
    "InvalidTypeException": Reason.SQL_BINDING,
    "TypeMismatchException": Reason.SQL_BINDING,
    "ConversionException": Reason.SQL_EXECUTION,
    "OutOfRangeException": Reason.SQL_EXECUTION,
    "InvalidInputException": Reason.SQL_EXECUTION,
    "ConstraintException": Reason.SQL_EXECUTION,
    "SequenceException": Reason.SQL_EXECUTION,
    "OutOfMemoryException": Reason.QUERY_MEMORY,
    # What follows cannot come of a read over in-memory tables: a fault, or an attempt that the lists missed. The
    # driver's own text could name files of the machine, so none of it is shown.
    "PermissionException": Reason.INTERNAL,
    "IOException": Reason.INTERNAL,
    "HTTPException": Reason.INTERNAL,
    "ConnectionException": Reason.INTERNAL,
    "TransactionException": Reason.INTERNAL,
    "DependencyException": Reason.INTERNAL,
    "ResourceInUseException": Reason.INTERNAL,
    "SerializationException": Reason.INTERNAL,
    "InterruptException": Reason.INTERNAL,
    "InternalException": Reason.INTERNAL,
    "FatalException": Reason.INTERNAL,
    # Bases of the driver's tree. Seen alone only if a new class appears under them.
    "IntegrityError": Reason.INTERNAL,
    "ProgrammingError": Reason.INTERNAL,
    "NotSupportedError": Reason.INTERNAL,
    "OperationalError": Reason.INTERNAL,
    "InternalError": Reason.INTERNAL,
    "DataError": Reason.INTERNAL,
    "DatabaseError": Reason.INTERNAL,
    "Error": Reason.INTERNAL,
    "Warning": Reason.INTERNAL,
}
"""What each exception class of the driver means; a test compares it with the driver's own list."""

STREAMED_MEANING: dict[str, Reason] = {
    "Binder": Reason.SQL_BINDING,
    "Catalog": Reason.SQL_BINDING,
    "Conversion": Reason.SQL_EXECUTION,
    "Decimal": Reason.SQL_EXECUTION,
    "Divide by Zero": Reason.SQL_EXECUTION,
    "Invalid Input": Reason.SQL_EXECUTION,
    "Mismatch Type": Reason.SQL_EXECUTION,
    "Not implemented": Reason.SQL_BINDING,
    "Object Size": Reason.SQL_EXECUTION,
    "Out of Memory": Reason.QUERY_MEMORY,
    "Out of Range": Reason.SQL_EXECUTION,
    "Sequence": Reason.SQL_EXECUTION,
}
"""What an error of the driver means that comes after the first batch: Arrow hands it on as an OSError with the
driver's text, and its class is gone. Whatever is not here is INTERNAL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What the driver says, taken from its JSON form (`errors_as_json`)."""

    message: str
    exception_type: str
    subtype: str
    kind: str
    name: str
    candidates: tuple[str, ...]
    offset: int | None


UNSUPPLIED = "penstock: a column that was not supplied"
"""The text with which a statement fails that reads a column its plan did not ask for: a fault of ours."""


def is_unsupplied(error: BaseException) -> bool:
    """Tell whether a statement failed because it asked for a column that was not supplied."""
    return UNSUPPLIED in str(error)


def translate(error: BaseException, *, sql: str, memory_bytes: int, shift: int = 0) -> PenstockError:
    """Turn a failure in a sealed worker into an error for the caller.

    `sql` is the caller's text, for the position; `memory_bytes` the budget to name when it was too small. The driver's
    text may be shown: nothing that is hidden from the caller exists in a sealed worker. `shift` is how many bytes stood
    before the caller's text in what was run.
    """
    if isinstance(error, PenstockError):
        return error
    if isinstance(error, MemoryError):
        return _out_of_memory(memory_bytes)
    if isinstance(error, RecursionError):
        return too_deep()
    report = _read(error)
    reason = _reason(error, report)
    if reason is Reason.INTERNAL:
        return internal(type(error).__name__)
    if reason is Reason.QUERY_MEMORY:
        return _out_of_memory(memory_bytes)
    if UNSUPPLIED in report.message:
        return internal("unsupplied column")
    return _of_statement(reason, report, sql, shift)


def _out_of_memory(memory_bytes: int) -> LimitExceeded:
    return LimitExceeded(
        Reason.QUERY_MEMORY,
        "the statement needs more memory than it may have",
        limit="query.memory",
        value=f"{memory_bytes} bytes",
        hint="read fewer columns or rows, or aggregate in smaller steps",
    )


def _reason(error: BaseException, report: _Report) -> Reason:
    for kind in type(error).__mro__:
        if kind.__module__ in ("_duckdb", "duckdb") and kind.__name__ in MEANING:
            return MEANING[kind.__name__]
    if isinstance(error, OSError):
        return STREAMED_MEANING.get(report.exception_type, Reason.INTERNAL)
    return Reason.INTERNAL


_PREFIX = re.compile(r"^[A-Z][A-Za-z -]* Error: ")
_SNIPPET = re.compile(r"\n+LINE \d+: .*\Z", re.DOTALL)


def _read(error: BaseException) -> _Report:
    text = _PREFIX.sub("", str(error), count=1)
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return _Report(
            message=_SNIPPET.sub("", text),
            exception_type="",
            subtype="",
            kind="",
            name="",
            candidates=(),
            offset=None,
        )
    return read_fields(fields)


def read_fields(fields: dict[str, Any]) -> _Report:
    """Read an error that the driver gave as JSON, be it of an exception or of `json_serialize_sql`."""
    position = str(fields.get("position", ""))
    candidates = tuple(name for name in str(fields.get("candidates", "")).split(",") if name)
    return _Report(
        message=str(fields.get("exception_message", fields.get("error_message", ""))),
        exception_type=str(fields.get("exception_type", "")),
        subtype=str(fields.get("error_subtype", "")),
        kind=str(fields.get("type", "")),
        name=str(fields.get("name", "")),
        candidates=candidates,
        offset=int(position) if position.isdecimal() else None,
    )


def character_position(sql: str, offset: int | None, shift: int = 0) -> int | None:
    """Turn a byte offset of the driver into a character offset; None where it lies outside of the text."""
    text = sql.encode("utf-8", "surrogatepass")
    if offset is None or not shift <= offset <= len(text) + shift:
        return None
    return len(text[: offset - shift].decode("utf-8", "ignore"))


def of_syntax(fields: dict[str, Any], sql: str) -> PenstockError:
    """Turn the error that `json_serialize_sql` reported into one of ours."""
    report = read_fields(fields)
    if report.message.startswith("Max expression depth limit"):
        return too_deep()
    return _of_statement(Reason.SQL_SYNTAX, report, sql)


def _of_statement(reason: Reason, report: _Report, sql: str, shift: int = 0) -> PenstockError:
    position = character_position(sql, report.offset, shift)
    if report.subtype == "COLUMN_NOT_FOUND" and report.name:
        return QueryError(
            Reason.COLUMN_NOT_FOUND,
            f"column `{shorten(report.name)}` does not exist",
            position=position,
            hint=_among(report.candidates),
        )
    if report.subtype == "MISSING_ENTRY" and report.kind == "Table":
        # The driver's suggestions would be names of its own catalog.
        return table_not_found(report.name, position)
    if report.message.startswith("Max expression depth limit"):
        return too_deep()
    first, _, rest = report.message.partition("\n")
    # Its advice to change a setting cannot be followed.
    advice = " ".join(line for line in rest.split("\n") if '"SET ' not in line and "SET GLOBAL" not in line)
    return QueryError(reason, _sentence(first), position=position, hint=shorten(" ".join(advice.split())))


def _among(candidates: tuple[str, ...]) -> str:
    names = ", ".join(f"`{name.strip()}`" for name in candidates)
    return shorten(f"did you mean one of {names}") if names else "describe the table to see its columns"


def _sentence(text: str) -> str:
    words = " ".join(text.split()).rstrip("!. ")
    if not words:
        return "the statement failed"
    first, _, _ = words.partition(" ")
    lowered = words[0].lower() + words[1:] if first.istitle() or len(first) == 1 else words
    return shorten(lowered)
