"""Errors whose text is fixed, whatever happened."""

from __future__ import annotations

from penstock_server.errors import LimitExceeded, NotFound, QueryError, Reason, Unavailable

_TEXT_LIMIT = 1000
"""Characters of the driver's text that are shown: a status message travels in one HTTP/2 header block."""


def unreadable(fault: BaseException | str) -> Unavailable:
    """Give the one error of a reader, whatever happened; `fault` names the class of it for the operator.

    SECURITY: a text, a class or a position that depended on the fault would show hidden cells: a bad byte in a hidden
    row, a hidden value too long for the memory, the path of a file.
    """
    return Unavailable(
        Reason.TABLE_UNREADABLE,
        "the table is unreadable",
        retry_after_seconds=None,
        hint="its owner has to mend it at the source",
        detail=fault if isinstance(fault, str) else type(fault).__name__,
    )


def internal(detail: str) -> QueryError:
    """Give the fixed error of a fault of the engine; `detail` is for the operator and holds no cell."""
    return QueryError(
        Reason.INTERNAL,
        "the engine failed on this statement",
        hint="write the statement in another way, and report it with the request id",
        detail=detail,
    )


def too_deep() -> LimitExceeded:
    """Give the error of a statement that nests too deep."""
    return LimitExceeded(
        Reason.SQL_TOO_DEEP,
        "the statement nests deeper than 200 levels",
        limit="statement_depth",
        value="200",
        hint="flatten chains of operators, joins and subqueries",
    )


def table_not_found(name: str, position: int | None) -> NotFound:
    """Give the error of a name that is no table of this statement."""
    metadata: tuple[tuple[str, str], ...] = (("table", shorten(name)),)
    if position is not None:
        metadata = (*metadata, ("position", str(position)))
    return NotFound(
        Reason.TABLE_NOT_FOUND,
        f"table `{shorten(name)}` does not exist",
        hint="list the tables that you may query with `penstock tables`",
        metadata=metadata,
    )


def shorten(text: str) -> str:
    """Cut a text to what a caller is shown."""
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
