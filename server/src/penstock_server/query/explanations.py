"""What a statement's tables look like to who asks, and which of their columns it uses: explained, not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock_server.engines.base import TableReference
from penstock_server.errors import PenstockError
from penstock_server.model.decision import PolicyVersion, TableDecision
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName
from penstock_server.policy.explanation.words import layer, names
from penstock_server.query.requests import OtherPrincipal
from penstock_server.query.resolution import PolicyInForce

UsedColumns = tuple[tuple[TableName, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryExplanation:
    """One tree a table of the statement, and the columns that it uses of each."""

    tree: ExplanationNode
    used_columns: UsedColumns
    policy_version: PolicyVersion


def explain_statement(
    policy: PolicyInForce,
    principal: Principal,
    decisions: Sequence[TableDecision],
    used: UsedColumns,
    *,
    facts: RequestFacts,
) -> ExplanationNode:
    """Explain to a principal the decisions about the tables of their own statement, in its order."""
    columns = {table.key(): found for table, found in used}
    tables = tuple(
        _with_columns(policy.explain(principal, decision, facts=facts), columns.get(decision.table.name.key(), ()))
        for decision in decisions
    )
    return _statement(tables, [str(decision.table.name) for decision in decisions])


def explain_statement_of_other(
    policy: PolicyInForce,
    other: OtherPrincipal,
    references: Sequence[TableReference],
    refusal: PenstockError | None,
    *,
    catalog: str | None,
    facts: RequestFacts,
) -> ExplanationNode:
    """Explain to an administrator what a statement would meet if somebody else ran it; `refusal` is what ends it.

    Raises:
        NotFound, QueryError: a name means no table of the catalogs, or several.
    """
    trees: dict[str, ExplanationNode] = {}
    for reference in references:
        tree = policy.explain_for_administrator(other.principal, reference.parts, default_catalog=catalog, facts=facts)
        trees.setdefault(tree.sentence, tree)
    told = () if refusal is None else (layer("statement", Verdict.REFUSED, f"they are told: {refusal.message}"),)
    return _statement((*told, *trees.values()), [".".join(reference.parts) for reference in references])


def _with_columns(tree: ExplanationNode, columns: Sequence[str]) -> ExplanationNode:
    words = f"the statement uses the columns {names(columns)}" if columns else "the statement uses no column of it"
    return replace(tree, children=(layer("columns used", Verdict.ALLOWED, words), *tree.children))


def _statement(children: Sequence[ExplanationNode], tables: Sequence[str]) -> ExplanationNode:
    verdicts = {child.verdict for child in children}
    worst = next((each for each in (Verdict.REFUSED, Verdict.NARROWED) if each in verdicts), Verdict.ALLOWED)
    return layer(
        "query", worst, f"the statement reads {names(tables)}" if tables else "the statement reads no table", children
    )
