"""Gives a bound policy other rules datasets, and leaves everything else of it as it is."""

from __future__ import annotations

from dataclasses import replace

from penstock_server.policy.bound import BoundPolicy, BoundRowRules, TableKey
from penstock_server.policy.problems import Problems
from penstock_server.policy.rules.binding import bind_row_rules
from penstock_server.policy.rules.queries import version_with_results
from penstock_server.policy.source import PolicySource, RowRulesSource


def rebind_row_rules(policy: BoundPolicy, source: PolicySource, names: frozenset[str]) -> BoundPolicy:
    """Give a policy with the datasets of these names as `source` has them; `source` is that of `policy` but for them.

    Tables, grants and all other datasets are shared with the policy given, which stays as it is.

    Raises:
        ConfigurationError: a dataset does not fit its table.
    """
    problems = Problems()
    tables = dict(policy.tables)
    for rules in source.row_rules:
        if rules.name not in names:
            continue
        key = table_key(rules)
        table = tables[key]
        bound = bind_row_rules(rules, table.schema, problems)
        if bound is not None:
            tables[key] = replace(table, row_rules=tuple(_either(one, bound) for one in table.row_rules))
    problems.raise_if_any()
    return replace(policy, version=version_with_results(source), tables=tables)


def table_key(rules: RowRulesSource) -> TableKey:
    """Give the key of the one table that a dataset is of."""
    catalog, database, name = rules.resource.key()
    if database is None or name is None:
        raise ValueError("a rules dataset is of one table")
    return catalog, database, name


def _either(one: BoundRowRules, fresh: BoundRowRules) -> BoundRowRules:
    return fresh if one.name == fresh.name else one
