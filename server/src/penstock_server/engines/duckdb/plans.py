"""What a bound plan reads: the second look at the question that the walk over the tree asked first.

The plan is taken before all optimizers but those that remove unused columns, and the joins and common tables across
which none could be removed. The others look at statistics: over the empty tables of a binding they would prove away
what the rows, once there, will need.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from penstock_server.engines.duckdb import errors, metadata
from penstock_server.engines.duckdb.identifiers import text_literal
from penstock_server.engines.duckdb.nesting import deep_recursion
from penstock_server.engines.duckdb.signature import Values, as_driver_takes
from penstock_server.errors import QueryError, Reason

OPERATORS = frozenset(
    {
        "AGGREGATE",
        "ANY_JOIN",
        "ASOF_JOIN",
        "CHUNK_GET",
        "COMPARISON_JOIN",
        "CROSS_PRODUCT",
        "CTE",
        "CTE_SCAN",
        "DELIM_GET",
        "DELIM_JOIN",
        "DEPENDENT_JOIN",
        "DISTINCT",
        "DUMMY_SCAN",
        "EMPTY_RESULT",
        "EXCEPT",
        "EXPRESSION_GET",
        "FILTER",
        "INTERSECT",
        "LIMIT",
        "ORDER_BY",
        "PIVOT",
        "POSITIONAL_JOIN",
        "PROJECTION",
        "REC_CTE",
        "SAMPLE",
        "TOP_N",
        "UNION",
        "UNNEST",
        "WINDOW",
    }
)
"""Operators that read only what stands below them in the plan, or what the statement itself made."""

TABLE_FUNCTIONS = frozenset(
    {"GENERATE_SERIES", "JSON_EACH", "JSON_TREE", "PRAGMA_SHOW", "RANGE", "REPEAT", "REPEAT_ROW"}
)
"""Table functions as a plan names them; `PRAGMA_SHOW` is `SHOW table`, and no statement may call it by its name."""

SCAN = "SEQ_SCAN"

PRUNING_OPTIMIZERS = frozenset({"cte_inlining", "deliminator", "unused_columns"})

OTHER_OPTIMIZERS = (
    "aggregate_function_rewriter",
    "aggregate_reuse",
    "build_side_probe_side",
    "column_lifetime",
    "common_aggregate",
    "common_subexpressions",
    "common_subplan",
    "compressed_materialization",
    "cte_filter_pusher",
    "distinct_aggregate_rewrite",
    "duplicate_groups",
    "empty_result_pullup",
    "expression_rewriter",
    "extension",
    "filter_pullup",
    "filter_pushdown",
    "grouping_sets",
    "in_clause",
    "join_elimination",
    "join_filter_pushdown",
    "join_order",
    "late_materialization",
    "limit_pushdown",
    "materialized_cte",
    "outer_join_simplification",
    "partial_aggregate_pushdown",
    "partitioned_execution",
    "projection_placement",
    "projection_pullup",
    "redundant_order_keys",
    "regex_range",
    "remote_pushdown",
    "reorder_filter",
    "row_group_pruner",
    "sampling_pushdown",
    "scalar_fn_pushdown",
    "statistics_propagation",
    "top_n",
    "top_n_window_elimination",
    "type_pushdown",
    "unnest_rewriter",
    "window_rewriter",
    "window_self_join",
)
"""Every other optimizer of the pinned version; a test compares with the driver's list."""

_EXPLAIN = "EXPLAIN (FORMAT json) "


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One reading of a table: its full name in the engine, and the columns that the statement needs of it."""

    table: str
    columns: tuple[str, ...]


def scans(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Values, *, catalog: bool = False
) -> tuple[Scan, ...]:
    """Bind a statement and give its readings of tables; runs nothing. With `catalog` it may read that too.

    Raises:
        QueryError: it does not bind, or reads something that is neither a table nor made by the statement itself.
        NotFound: it names a table that is not there.
        LimitExceeded: it nests too deep once bound (`SQL_TOO_DEEP`).
    """
    with _pruning_alone(connection), deep_recursion():
        try:
            rows = connection.execute(f"{_EXPLAIN}{sql}", as_driver_takes(values)).fetchall()
        except duckdb.Error as error:
            raise errors.translate(error, sql=sql, memory_bytes=0, shift=len(_EXPLAIN)) from None
        plans = {str(name): text for name, text in rows}
        bound, pruned = json.loads(plans["logical_plan"]), json.loads(plans["physical_plan"])
    known = OPERATORS | TABLE_FUNCTIONS | (metadata.SCANS if catalog else frozenset())
    for node in _nodes(bound):
        name = str(node["name"])
        if name != SCAN and name not in known:
            raise _foreign(name)
    return tuple(_scan(node) for node in (*_nodes(bound), *_nodes(pruned)) if node["name"] == SCAN)


def _scan(node: dict[str, Any]) -> Scan:
    facts = node["extra_info"]
    # Present in the physical plan alone; a single column is not wrapped in a list.
    columns = facts.get("Projections", "")
    listed = columns if isinstance(columns, list) else [columns] if columns else []
    return Scan(table=str(facts["Table"]), columns=tuple(str(column) for column in listed))


def _nodes(plan: list[Any]) -> Iterator[dict[str, Any]]:
    pending = list(plan)
    while pending:
        node = pending.pop()
        pending.extend(node["children"])
        yield node


@contextmanager
def _pruning_alone(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute(f"SET disabled_optimizers={text_literal(','.join(OTHER_OPTIMIZERS))}")
    try:
        yield
    finally:
        connection.execute("SET disabled_optimizers=''")


def _foreign(name: str) -> QueryError:
    return QueryError(
        Reason.SQL_FUNCTION_REFUSED,
        "the statement reads something besides its tables",
        hint="read tables by their names",
        metadata=(("function", name.lower()),),
    )


def not_a_table_of_the_statement() -> QueryError:
    """Give the error of a plan that scans a table which was not declared."""
    return _foreign("scan")
