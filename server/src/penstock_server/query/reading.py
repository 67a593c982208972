"""What a statement under way reads, and whether another policy would take some of it away."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.engines.base import BoundStatement
from penstock_server.model.decision import GovernedTable, TableDecision, TableOutcome
from penstock_server.model.predicate import AnyTrue, Predicate
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName
from penstock_server.query.resolution import PolicyInForce, known_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What `policy` gave a statement: the columns used of each table, and whether it lists what may be known of."""

    policy: PolicyInForce
    used: tuple[tuple[TableName, tuple[str, ...]], ...]
    lists_tables: bool


def reading_of(policy: PolicyInForce, bound: BoundStatement, *, lists_tables: bool) -> Reading:
    """Give what a bound statement reads."""
    return Reading(policy=policy, used=bound.used_columns, lists_tables=lists_tables)


def takes_away(policy: PolicyInForce, reading: Reading, principal: Principal, facts: RequestFacts) -> bool:
    """Tell whether `policy` might give less of what is read than the one that decided.

    SECURITY: it is no where that can be seen at once, and yes where it would have to be proved
    (test_a_policy_that_takes_a_row_away_ends_the_statement).
    """
    if reading.lists_tables:
        known, known_before = (
            {
                (table.name.key(), column.name)
                for table in known_tables(each, principal, facts=facts)
                for column in table.columns
            }
            for each in (policy, reading.policy)
        )
        if not known_before <= known:
            return True
    for name, columns in reading.used:
        now, before = (
            each.resolve(principal, (name.catalog, name.database, name.table), default_catalog=None, facts=facts)
            for each in (policy, reading.policy)
        )
        if _is_less(now, before, columns):
            return True
    return False


def _is_less(now: TableOutcome, before: TableOutcome, columns: tuple[str, ...]) -> bool:
    if not isinstance(now, TableDecision) or not isinstance(before, TableDecision):
        return True
    if now.fingerprint == before.fingerprint:
        return False
    return not (_holds_rows(now.table, before.table) and _holds_cells(now.table, before.table, columns))


def _holds_rows(now: GovernedTable, before: GovernedTable) -> bool:
    """Tell whether every row from before is there, by the form of the predicates alone."""
    return all(any(_implies(earlier, predicate) for earlier in before.rows) for predicate in now.rows)


def _implies(narrow: Predicate, wide: Predicate) -> bool:
    return narrow == wide or (isinstance(wide, AnyTrue) and all(one in wide.operands for one in _operands(narrow)))


def _operands(predicate: Predicate) -> tuple[Predicate, ...]:
    return predicate.operands if isinstance(predicate, AnyTrue) else (predicate,)


def _holds_cells(now: GovernedTable, before: GovernedTable, columns: tuple[str, ...]) -> bool:
    shown = {governed.column.name: governed for governed in now.columns}
    shown_before = {governed.column.name: governed for governed in before.columns}
    return all(name in shown and shown[name] == shown_before.get(name) for name in columns)
