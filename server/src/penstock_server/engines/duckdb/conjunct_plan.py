"""The conditions of a statement that its bound plan applies to nothing but the rows of one reference of a table.

The plan is the bound, unoptimised one, as the engine writes it down: names are resolved there, on the governed shape.
A condition counts where it is a conjunct of a Filter that stands over its reference through nothing but Filters, inner
and cross joins, the preserved side of outer joins, and the left side of semi, anti and ASOF joins. What is not known
here is taken for something that stands between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Node = Mapping[str, Any]
"""A JSON object of a serialized plan: an operator or an expression."""

_COLUMN_LEFT_OUT: Final = None

# By type of join: whether conditions on the left and on the right side may be copied through it.
_SIDES: Final[Mapping[str, tuple[bool, bool]]] = {
    "INNER": (True, True),
    "LEFT": (True, False),
    "RIGHT": (False, True),
    "SEMI": (True, False),
    "ANTI": (True, False),
}
_ONE_SIDED: Final = frozenset({"SEMI", "ANTI"})
"""Joins that give the columns of their left side alone."""

SAMPLE: Final = "LOGICAL_SAMPLE"
"""Which rows a sample takes may hang on how rows stand in blocks: nothing is copied beside one."""


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One reference of a table: the number of its store, and the types of its columns as the plan has them."""

    store: int
    types: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafColumn:
    """A bare column of a reference."""

    leaf: Leaf
    number: int

    @property
    def type(self) -> Node:
        """Its type."""
        return self.leaf.types[self.number]


Columns = list[LeafColumn | None]
"""What an operator gives, position by position; None = something else, or a column that may not be tested below."""


class Conditions:
    """Looks through one plan. `leaves` are all references of tables, `found` the conjuncts over each of them."""

    def __init__(self, plan: Node, stores: Mapping[tuple[str, str, str], int]) -> None:
        self._stores = stores
        self._leaves: dict[int, Leaf] = {}
        self.found: list[tuple[Node, Columns]] = []
        self.complete = self._look(plan)

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every reference, whether anything is known of it or not."""
        return tuple(self._leaves.values())

    def _look(self, plan: Node) -> bool:
        """Find all scans and all filters; False where the plan holds something that may hide a reference."""
        operators = []
        for part in _parts(plan):
            if part.get("expression_class") == "BOUND_SUBQUERY" or part.get("type") == SAMPLE:
                return False
            if part.get("type") == "LOGICAL_GET":
                self._leaf(part)
            if "children" in part and str(part.get("type", "")).startswith("LOGICAL_"):
                operators.append(part)
        for operator in operators:
            if operator["type"] == "LOGICAL_FILTER":
                below = self._columns(operator["children"][0])
                if below is not None:
                    self.found.extend((conjunct, below) for conjunct in operator["expressions"])
        return True

    def _leaf(self, scan: Node) -> Leaf | None:
        """Give the reference that is a scan, or None where it is a table function of the statement."""
        data = scan.get("function_data") or {}
        store = self._stores.get((str(data.get("catalog")), str(data.get("schema")), str(data.get("table"))))
        if store is None:
            return None
        return self._leaves.setdefault(id(scan), Leaf(store, tuple(scan["returned_types"])))

    def _columns(self, node: Node) -> Columns | None:
        """Give the columns of an operator; None where not even their number is known."""
        match node["type"]:
            case "LOGICAL_PROJECTION":
                return self._view(node) or [_COLUMN_LEFT_OUT] * len(node["expressions"])
            case "LOGICAL_FILTER" if not node.get("projection_map"):
                return self._columns(node["children"][0])
            case "LOGICAL_CROSS_PRODUCT":
                return self._joined(node, "INNER")
            case "LOGICAL_COMPARISON_JOIN" | "LOGICAL_ANY_JOIN":
                return self._joined(node, node["join_type"])
            case "LOGICAL_ASOF_JOIN" if node["join_type"] in ("INNER", "LEFT"):
                # The row that matches is the nearest: another one would be, if the right side had fewer.
                return self._joined(node, "LEFT")
            case _:
                return None

    def _view(self, node: Node) -> Columns | None:
        """Give the columns of the view of a table over its store, which binding made; None where it is no such view."""
        (scan,) = node["children"]
        if scan["type"] != "LOGICAL_GET":
            return None
        leaf = self._leaf(scan)
        columns, given = scan["column_indexes"], node["expressions"]
        if leaf is None or scan["projection_ids"] or len(given) != len(leaf.types):
            return None
        shown: Columns = []
        for number, expression in enumerate(given):
            bare = expression["expression_class"] == "BOUND_REF" and expression["index"] == number
            if not bare or number >= len(columns) or columns[number]["index"] != number:
                return None
            shown.append(LeafColumn(leaf=leaf, number=number))
        return shown

    def _joined(self, node: Node, kind: str) -> Columns | None:
        sides = _SIDES.get(kind)
        if sides is None or node.get("left_projection_map") or node.get("right_projection_map"):
            return None
        left, right = (self._columns(child) for child in node["children"])
        if left is None:
            return None
        shown: Columns = left if sides[0] else [_COLUMN_LEFT_OUT] * len(left)
        if kind in _ONE_SIDED or right is None:
            return shown
        return [*shown, *(right if sides[1] else [_COLUMN_LEFT_OUT] * len(right))]


def _parts(plan: Node) -> Iterator[Node]:
    """Give every JSON object of a plan."""
    pending: list[Any] = [plan]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
