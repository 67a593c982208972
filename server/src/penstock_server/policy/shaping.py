"""Why a relation has fewer columns, rows or clear cells than its table, in names that the caller may see."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_server.model.cell_paths import written_path
from penstock_server.model.decision import GovernedTable, Shaping
from penstock_server.model.predicate import Always, Predicate
from penstock_server.policy.bound import BoundGrant


def shaping_of(
    relation: GovernedTable,
    grants: Sequence[BoundGrant],
    rules: Sequence[tuple[str, Predicate]],
    *,
    ruled_out: frozenset[str],
    denied: frozenset[str],
) -> Shaping:
    """Say in the names of grants, rules, masks and visible columns what shaped a relation.

    `grants` made it, `rules` pairs each rules dataset with the rows that it leaves, `ruled_out` are the columns that
    column rules close, `denied` those that denials by tags close.
    """
    closed = ruled_out | denied
    parts = tuple(relation.parts())
    masked = {
        (written_path(governed.column.name), case.mask.name)
        for governed in parts
        for case in governed.cases
        if case.mask is not None
    }
    narrowing = tuple(name for name, rows in rules if not isinstance(rows, Always))
    everything = frozenset(cell.name for cell in relation.schema.cells())
    # SECURITY: a column that column rules close, and that no grant shows anyway, must not be told.
    shown = _shown(grants, everything)
    showing = tuple(
        grant.name for grant in grants if any(_columns(part.columns, everything) - closed for part in grant.filters)
    )
    return Shaping(
        grants=tuple(grant.name for grant in grants),
        row_rules=narrowing,
        masked=tuple(sorted(masked)),
        partly_null=tuple(
            written_path(governed.column.name) for governed in parts if not isinstance(governed.cases[-1].when, Always)
        ),
        rows_filtered=bool(relation.rows),
        columns_left_out=sum(1 for _ in relation.cells()) < len(everything),
        # Rows are OR-ed over the grants: where the grants filter, each of them does.
        row_filters=showing if len(relation.rows) > len(narrowing) else (),
        column_lists=showing if shown < everything else (),
        column_rules=bool(ruled_out & shown),
        column_denials=bool(denied & shown),
    )


def _shown(grants: Sequence[BoundGrant], everything: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(_columns(part.columns, everything) for grant in grants for part in grant.filters))


def _columns(columns: frozenset[str] | None, everything: frozenset[str]) -> frozenset[str]:
    return everything if columns is None else columns
