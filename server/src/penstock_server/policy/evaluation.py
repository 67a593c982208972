"""The decision for a principal and a table.

1. Grants that apply: they name the principal and the table, have not ended, and their conditions are true. None = the
   table does not exist.
2. Their filters join as in Lake Formation, cell by cell.        (`relation.govern`)
3. Masks: a cell that any filter shows clear is clear.           (`relation.govern`)
4. Row rules narrow the rows; several datasets are AND.          (`rules.applicable.rows_of`)
   Column rules close columns, before the filters join.          (`BoundTable.closed_columns`)
5. Denials take away whole tables, or their files.               (`BoundTable.denied`)
   Denials by tags close columns, before the filters join.       (`BoundTable.closed_columns`)
6. The caller's statement runs on top of this relation: the doors see to that.
7. A filter of which no column is left shows no row either; no column left = the table does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock_server.errors import AccessDenied, NotFound, QueryError, Reason
from penstock_server.model.decision import (
    GovernedTable,
    TableDecision,
    TableDescribed,
    TableHidden,
    TableOutcome,
)
from penstock_server.model.predicate import Always, Predicate
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName, TablePermission, fold
from penstock_server.policy.applicable_grants import describing, granted_tables, in_force, named_grants, selecting
from penstock_server.policy.bound import BoundGrant, BoundPolicy, BoundTable, TableKey
from penstock_server.policy.encoding import encode_relation
from penstock_server.policy.filters.row_tests import Fixed, predicate_for
from penstock_server.policy.relation import ActiveFilter, column_of_cells, govern
from penstock_server.policy.rules.applicable import rows_of
from penstock_server.policy.shaping import shaping_of
from penstock_server.policy.situation import Situation

_LONGEST_NAME = 256


def decide(policy: BoundPolicy, principal: Principal, table: TableName, *, facts: RequestFacts) -> TableOutcome:
    """Decide what a principal sees of a table in a request. Pure: the same in, the same out."""
    bound = policy.tables.get(table.key())
    return TableHidden(policy_version=policy.version) if bound is None else _decide(policy, principal, bound, facts)


def resolve(
    policy: BoundPolicy,
    principal: Principal,
    parts: tuple[str, ...],
    *,
    default_catalog: str | None,
    facts: RequestFacts,
) -> TableOutcome:
    """Decide about the table that a name of one to three parts means to this principal.

    A name without its catalog is looked up in `default_catalog`, or where that is None in all catalogs; only tables
    that exist for the principal are found, and exactly one must be.

    Raises:
        QueryError: the name means several tables (`SQL_BINDING`); all of them are visible to the principal.
    """
    found = []
    for key in candidates(policy, parts, default_catalog):
        outcome = _decide(policy, principal, policy.tables[key], facts)
        if not isinstance(outcome, TableHidden):
            found.append((policy.tables[key].schema.name, outcome))
    if len(found) > 1:
        names = " or ".join(f"`{name}`" for name, _ in found[:5])
        raise QueryError(
            Reason.SQL_BINDING,
            f"the name `{_written(parts)}` means more than one table",
            hint=f"write it in full: {names}",
            metadata=(("table", _written(parts)),),
        )
    return found[0][1] if found else TableHidden(policy_version=policy.version)


def visible_tables(
    policy: BoundPolicy, principal: Principal, *, facts: RequestFacts
) -> tuple[TableDecision | TableDescribed, ...]:
    """Decide about every table that exists for a principal, by full name."""
    outcomes = (_decide(policy, principal, bound, facts) for bound in granted_tables(policy, principal))
    return tuple(outcome for outcome in outcomes if not isinstance(outcome, TableHidden))


def table_not_found(parts: tuple[str, ...]) -> NotFound:
    """Give the one error for a table that does not exist and for one that is hidden; `parts` as the caller wrote it."""
    written = _written(parts)
    return NotFound(
        Reason.TABLE_NOT_FOUND,
        f"there is no table `{written}`",
        hint="`penstock tables` lists those that you may see",
        metadata=(("table", written),),
    )


def table_not_readable(described: TableDescribed, parts: tuple[str, ...]) -> AccessDenied:
    """Give the one error for a table that the caller may know of, but not read; `parts` as the caller wrote it."""
    return AccessDenied(
        Reason.DENIED_BY_POLICY,
        described.reason,
        hint=described.hint,
        metadata=(("table", _written(parts)),),
    )


def _decide(policy: BoundPolicy, principal: Principal, bound: BoundTable, facts: RequestFacts) -> TableOutcome:
    denied = bound.denied(principal)
    if TablePermission.DESCRIBE in denied:
        return TableHidden(policy_version=policy.version)
    situation = Situation.of(policy, principal, facts)
    named = named_grants(policy, principal, bound.schema.name.key())
    grants = in_force(named, situation)
    readable = selecting(grants)
    if not readable or TablePermission.SELECT in denied:
        return _described(policy, principal, bound, describing(grants))
    view = _View(
        policy=policy,
        principal=principal,
        bound=bound,
        situation=situation,
        rules=tuple((dataset.name, rows_of(dataset, principal, at=facts.at)) for dataset in bound.row_rules),
        closed=bound.closed_columns(principal),
        files_denied=TablePermission.RAW in denied,
    )
    relation = view.relation(readable)
    if relation is None:
        return TableHidden(policy_version=policy.version)
    return TableDecision(
        table=relation,
        shaping=shaping_of(
            relation,
            readable,
            view.rules,
            ruled_out=bound.columns_ruled_out(principal),
            denied=bound.columns_denied(principal),
        ),
        full=view.full(readable),
        policy_version=policy.version,
        fingerprint=view.fingerprint(relation).hex(),
        expires_at=view.expires_at(relation, readable, selecting(named)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One table before one principal.

    `rules` pairs each rules dataset with the rows that it leaves; `closed` are the columns that column rules and
    denials by tags close; `files_denied` where a denial keeps the files away.
    """

    policy: BoundPolicy
    principal: Principal
    bound: BoundTable
    situation: Situation
    rules: tuple[tuple[str, Predicate], ...]
    closed: frozenset[str]
    files_denied: bool

    def relation(self, grants: Sequence[BoundGrant]) -> GovernedTable | None:
        """Give what these grants leave to see; None where nothing is."""
        filters = [
            ActiveFilter(
                columns=self._open(part.columns),
                rows=predicate_for(part.rows, self.principal, default_issuer=self.policy.default_issuer),
                masks=part.masks,
            )
            for grant in grants
            for part in grant.filters
        ]
        return govern(self.bound.schema, filters, [rows for _, rows in self.rules])

    def fingerprint(self, relation: GovernedTable) -> bytes:
        """Give a hash of everything that shapes the relation."""
        return encode_relation(relation, self.bound.encoded_schema)

    def full(self, grants: Sequence[BoundGrant]) -> bool:
        """Tell whether nothing is hidden, now or when columns are added: no rules, and one grant of it all."""
        # SECURITY: also for those whom every rule spares: files outlive a change of rules.
        if self.bound.row_rules or self.bound.column_rules or self.files_denied:
            return False
        return any(
            part.columns is None and not part.masks and part.rows == Fixed(predicate=Always())
            for grant in grants
            for part in grant.filters
        )

    def _open(self, columns: frozenset[str] | None) -> frozenset[str] | None:
        """Take the closed columns from those of a filter; where none is left, the filter shows no row either."""
        if not self.closed:
            return columns
        if columns is None:
            columns = frozenset(cell.name for cell in self.bound.schema.cells())
        return columns - self.closed

    def expires_at(
        self, relation: GovernedTable, grants: Sequence[BoundGrant], named: Sequence[BoundGrant]
    ) -> datetime | None:
        """Give the first instant at which the relation becomes another, or None.

        `grants` are those that made it, `named` also those that may begin to hold later.
        """
        stale = min((end for rules in self.bound.row_rules if (end := rules.fresh_until) is not None), default=None)
        if stale is not None and stale <= self.situation.instant:
            stale = None
        for end in self.situation.turns(named):
            if stale is not None and stale <= end:
                break
            left = in_force(named, self.situation.at(end))
            later = self.relation(left)
            if later is None or self.fingerprint(later) != self.fingerprint(relation):
                return end
            if self.full(left) != self.full(grants):
                return end
        return stale


def _described(
    policy: BoundPolicy, principal: Principal, bound: BoundTable, grants: Sequence[BoundGrant]
) -> TableOutcome:
    closed = bound.closed_columns(principal)
    shown = frozenset(
        cell.name
        for cell in bound.schema.cells()
        if cell.name not in closed
        and any(part.columns is None or cell.name in part.columns for grant in grants for part in grant.filters)
    )
    narrowed = (column_of_cells(column, shown) for column in bound.schema.columns)
    columns = tuple(column for column in narrowed if column is not None)
    if not columns:
        return TableHidden(policy_version=policy.version)
    reason = f"you may know of the table `{bound.schema.name}`, but not read it"
    hint = f"ask for the permission SELECT on `{bound.schema.name}`"
    if TablePermission.SELECT in bound.denied(principal):
        reason = f"reading the table `{bound.schema.name}` is denied to you, whatever your grants say"
        hint = "a denial holds for everybody whom it does not spare; ask the owner of the data to be spared"
    return TableDescribed(
        schema=bound.schema,
        columns=columns,
        reason=reason,
        hint=hint,
        policy_version=policy.version,
    )


def candidates(policy: BoundPolicy, parts: tuple[str, ...], default_catalog: str | None) -> tuple[TableKey, ...]:
    """Give the tables that a name of one to three parts may mean, whoever may see them."""
    folded = tuple(fold(part) for part in parts)
    if len(folded) == 3:
        key = (folded[0], folded[1], folded[2])
        return (key,) if key in policy.tables else ()
    found = policy.table_names.get(folded, ())
    return tuple(key for key in found if default_catalog is None or key[0] == fold(default_catalog))


def _written(parts: tuple[str, ...]) -> str:
    """Give a name for a message, cut where it is absurdly long."""
    written = ".".join(parts)
    return written if len(written) <= _LONGEST_NAME else written[:_LONGEST_NAME] + "..."
