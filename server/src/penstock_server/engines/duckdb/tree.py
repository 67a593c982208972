"""A walk over DuckDB's tree of one statement: tables, functions, and anything that is not a plain read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from penstock_server.engines.base import TableReference
from penstock_server.engines.duckdb import errors, functions, metadata
from penstock_server.engines.duckdb.nesting import MAXIMUM_DEPTH
from penstock_server.errors import QueryError, Reason
from penstock_server.model.resource import fold

QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})

TABLE_NODES = frozenset(
    {"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY", "TABLE_FUNCTION"}
)

EXPRESSION_CLASSES = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "LAMBDA_REF",
        "OPERATOR",
        "PARAMETER",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "TYPE",
        "WINDOW",
    }
)

SHOW_TYPES = frozenset({"DESCRIBE", "SHOW", "SUMMARY"})
"""Those that are about a query, which stands below them."""

_NOWHERE = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """A part of the tree still to be walked: the CTE names that it sees, and how deep it stands."""

    part: Any
    visible: frozenset[str]
    depth: int


class Tree:
    """What the walk has found. The walk is a loop: a deep tree cannot exhaust the stack."""

    def __init__(self, sql: str) -> None:
        self.functions: set[str] = set()
        self.lists_tables = False
        self._sql = sql
        self._tables: dict[tuple[str, ...], int | None] = {}
        self._pending: list[_Visit] = []
        self._table_functions: dict[int, int | None] = {}

    def walk(self, statement: dict[str, Any]) -> None:
        """Visit every node.

        Raises:
            LimitExceeded: deeper than 200 nodes.
            QueryError: a node that is no plain read, or a function that is not on the list.
        """
        self._pending.append(_Visit(part=statement, visible=frozenset(), depth=0))
        while self._pending:
            visit = self._pending.pop()
            if isinstance(visit.part, list):
                self._pending.extend(
                    _Visit(part=item, visible=visit.visible, depth=visit.depth) for item in reversed(visit.part)
                )
            elif isinstance(visit.part, dict):
                self._enter(visit.part, visit.visible, visit.depth)

    def tables(self) -> tuple[TableReference, ...]:
        """Give the base tables in the order of the text, each spelling once."""
        ordered = sorted(self._tables.items(), key=lambda item: (item[1] is None, item[1] or 0))
        return tuple(
            TableReference(parts=parts, position=errors.character_position(self._sql, offset))
            for parts, offset in ordered
        )

    def _enter(self, node: dict[str, Any], visible: frozenset[str], depth: int) -> None:
        if "class" in node:
            depth += 1
            self._expression(node)
        elif "cte_map" in node:
            depth += 1
            visible = self._query(node, visible, depth)
        elif "alias" in node and "query_location" in node:
            depth += 1
            self._table(node, visible)
        if depth > MAXIMUM_DEPTH:
            raise errors.too_deep()
        for key, value in reversed(node.items()):
            if key != "cte_map" and isinstance(value, dict | list):
                self._pending.append(_Visit(part=value, visible=visible, depth=depth))

    def _query(self, node: dict[str, Any], visible: frozenset[str], depth: int) -> frozenset[str]:
        """Visit the CTEs of a query node; give the names that the node itself sees."""
        if node.get("type") not in QUERY_NODES:
            raise _not_a_read("a statement within the statement does more than read")
        for entry in node["cte_map"]["map"]:
            name = fold(str(entry["key"]))
            inner = entry["value"].get("query_node") or {}
            # A CTE sees those before it, and itself only where it is recursive.
            sees = visible | {name} if inner.get("type") == "RECURSIVE_CTE_NODE" else visible
            self._pending.append(_Visit(part=entry["value"], visible=sees, depth=depth))
            visible = visible | {name}
        return visible

    def _table(self, node: dict[str, Any], visible: frozenset[str]) -> None:
        kind = node.get("type")
        if kind not in TABLE_NODES:
            raise _not_a_read("the statement reads something that is no table")
        match kind:
            case "SHOW_REF":
                self._show(node)
            case "TABLE_FUNCTION":
                self._table_functions[id(node["function"])] = _offset(node)
            case "BASE_TABLE":
                self._base_table(node, visible)

    def _show(self, node: dict[str, Any]) -> None:
        if node.get("show_type") in metadata.SHOW_TYPES and node.get("query") is None:
            self.lists_tables = True
        elif node.get("show_type") == "SHOW" and node.get("query") is None:
            # SECURITY: a name that is no table's would be a setting's; a common table does not make it one.
            self._base_table(node, frozenset())
        elif node.get("show_type") not in SHOW_TYPES or node.get("query") is None:
            raise QueryError(
                Reason.SQL_NOT_READ_ONLY,
                "SHOW in this form is not available in this version",
                hint="use SHOW TABLES for your tables, and DESCRIBE for one of them",
            )

    def _base_table(self, node: dict[str, Any], visible: frozenset[str]) -> None:
        parts = tuple(str(part) for part in node["qualified_name"]["path"])
        if len(parts) == 1 and fold(parts[0]) in visible:
            return
        if metadata.is_relation(parts):
            self.lists_tables = True
            return
        self._tables.setdefault(parts, _offset(node))

    def _expression(self, node: dict[str, Any]) -> None:
        if node["class"] not in EXPRESSION_CLASSES:
            raise _not_a_read("the statement holds an expression of a kind that is not available")
        if node.get("export_state"):
            raise QueryError(
                Reason.SQL_FUNCTION_REFUSED,
                "EXPORT_STATE is not available",
                position=self._position(node),
                metadata=(("function", "export_state"),),
            )
        name = node.get("function_name")
        if name is None:
            return
        folded = fold(str(name))
        if not functions.is_allowed(folded, table=id(node) in self._table_functions):
            raise self._refused(str(name), node)
        self.functions.add(folded)
        self.lists_tables = self.lists_tables or folded in metadata.FUNCTIONS

    def _refused(self, name: str, node: dict[str, Any]) -> QueryError:
        shown = name if len(name) <= 100 else name[:99] + "…"
        reason = functions.reason(fold(name))
        near = difflib.get_close_matches(fold(shown), functions.allowed_names(), n=3) if reason is None else []
        if reason is not None:
            hint = reason
        elif near:
            hint = "did you mean one of " + ", ".join(f"`{candidate}`" for candidate in near)
        else:
            hint = "the functions that may be called are in the documentation of the query door"
        return QueryError(
            Reason.SQL_FUNCTION_REFUSED,
            f"function `{shown}` is not available",
            position=self._position(node),
            hint=hint,
            metadata=(("function", shown),),
        )

    def _position(self, node: dict[str, Any]) -> int | None:
        offset = _offset(node)
        return errors.character_position(self._sql, self._table_functions.get(id(node)) if offset is None else offset)


def _offset(node: dict[str, Any]) -> int | None:
    offset = node.get("query_location", _NOWHERE)
    return offset if isinstance(offset, int) and offset != _NOWHERE else None


def _not_a_read(message: str) -> QueryError:
    return QueryError(Reason.SQL_NOT_READ_ONLY, message, hint="send one statement that only reads")
