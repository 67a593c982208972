"""EXPLAIN: which statement it is about, and its plan in names of the caller's tables.

The parser's tree cannot hold an EXPLAIN. Its words are taken off by tokens, what is left is checked and bound as any
statement, and the plan is the one by which it would run over the rows that the caller may see: estimates are made of
those alone. The engine knows tables by names of ours; only scans show them, and there they are put right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import duckdb
import pyarrow as pa

from penstock_server.engines.duckdb import errors, nesting
from penstock_server.engines.duckdb.canonical import FRAME_ROWS
from penstock_server.engines.duckdb.extracts.layout import PRESENT
from penstock_server.engines.duckdb.shapes import TableShape
from penstock_server.engines.duckdb.signature import Values, as_driver_takes
from penstock_server.errors import QueryError, Reason

SCHEMA = pa.schema([("explain_key", pa.string()), ("explain_value", pa.string())])
"""The columns of the engine's own answer."""

_COLUMN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(?<![\w.])c([0-9]+)\b")
_NUMBER = re.compile(r"\.main\.t([0-9]+)$|^\"?penstock_extract_([0-9]+)\b")
_INDENT = "  "


class PlanForm(StrEnum):
    """How a plan is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A statement whose plan is asked for. `statement` is the text with blanks where the words of EXPLAIN stood."""

    statement: str
    form: PlanForm


def split(sql: str) -> Explained | None:
    """Take the words of an EXPLAIN off a text; None where it is none.

    Raises:
        QueryError: EXPLAIN ANALYZE, or a form that is not offered (`SQL_NOT_READ_ONLY`).
    """
    marks = nesting.marks(sql)
    first = next(marks, None)
    if first is None or first.text != "explain":
        return None
    second = next(marks, None)
    if second is not None and second.text in ("analyze", "analyse"):
        raise _analyzed()
    end, form = first.offset + len("explain"), PlanForm.TEXT
    if second is not None and second.text == "(":
        options = _options(sql, marks)
        if options is not None:
            end, form = options
    data = sql.encode("utf-8")
    return Explained(statement=" " * end + data[end:].decode("utf-8"), form=form)


def _options(sql: str, marks: Iterator[nesting.Mark]) -> tuple[int, PlanForm] | None:
    """Read `FORMAT name)`; give where it ends, or None where the bracket holds a statement."""
    name = next(marks, None)
    if name is None or name.text not in ("format", "analyze", "analyse"):
        return None
    value, closing = next(marks, None), next(marks, None)
    if name.text != "format":
        raise _analyzed()
    written = "" if value is None else value.text.strip("'\"")
    if written not in ("default", *PlanForm) or closing is None or closing.text != ")":
        raise QueryError(
            Reason.SQL_NOT_READ_ONLY,
            "EXPLAIN in this form is not available",
            position=None if value is None else errors.character_position(sql, value.offset),
            hint="write `EXPLAIN statement`, `EXPLAIN (FORMAT text) statement` or `EXPLAIN (FORMAT json) statement`",
        )
    return closing.offset + 1, PlanForm.TEXT if written == "default" else PlanForm(written)


def _analyzed() -> QueryError:
    return QueryError(
        Reason.SQL_NOT_READ_ONLY,
        "EXPLAIN ANALYZE is not available: what it measures is the machine's state, which is no part of your data",
        hint="EXPLAIN gives the plan with estimates, and the answer tells how long the engine took",
    )


def plan(
    connection: duckdb.DuckDBPyConnection,
    explained: Explained,
    values: Values,
    tables: Sequence[TableShape],
) -> pa.RecordBatchReader:
    """Give the plan of a statement over tables that hold their rows already; nothing of it runs.

    Raises:
        duckdb.Error: it does not bind.
        ValueError: the plan computes a column that was not supplied.
    """
    rows = connection.execute(f"EXPLAIN (FORMAT json) {explained.statement}", as_driver_takes(values)).fetchall()
    with nesting.deep_recursion():
        nodes = json.loads({str(name): text for name, text in rows}["physical_plan"])
        governed = [_governed(node, tables) for node in nodes]
        written = (
            json.dumps(governed, ensure_ascii=False, indent=2)
            if explained.form is PlanForm.JSON
            else "\n".join(line for node in governed for line in _lines(node))
        )
    if errors.UNSUPPLIED in written:
        raise ValueError(errors.UNSUPPLIED)
    table = pa.Table.from_pydict({"explain_key": ["physical_plan"], "explain_value": [written]}, schema=SCHEMA)
    return table.to_reader(FRAME_ROWS)


def _governed(node: dict[str, Any], tables: Sequence[TableShape]) -> dict[str, Any]:
    """Give a node, and those below it, with the names that the statement may use."""
    facts = dict(node["extra_info"])
    found = _NUMBER.search(str(facts.get("Table", "")))
    if found is not None:
        shape = tables[int(found[1] or found[2])]
        facts = {key: _renamed(value, shape) for key, value in facts.items()}
        facts["Table"] = str(shape.name)
    return {
        "name": node["name"],
        "extra_info": {key: value for key, value in facts.items() if value not in ("", [])},
        "children": [_governed(child, tables) for child in node["children"]],
    }


def _renamed(value: object, shape: TableShape) -> str | list[str]:
    if isinstance(value, list):
        return [renamed for one in value if isinstance(renamed := _renamed(one, shape), str) and renamed]
    text = str(value)
    if text == PRESENT:
        return ""
    return _COLUMN.sub(lambda found: shape.columns[int(found[1])].name if found[1] else found[0], text)


def _lines(node: dict[str, Any], indent: str = "") -> Iterator[str]:
    facts = dict(node["extra_info"])
    estimate = facts.pop("Estimated Cardinality", None)
    yield f"{indent}{node['name']}" + ("" if estimate is None else f"  ~{estimate} rows")
    for key, value in facts.items():
        yield f"{indent}{_INDENT}{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
    for child in node["children"]:
        yield from _lines(child, indent + _INDENT)
