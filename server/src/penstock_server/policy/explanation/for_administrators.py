"""How a decision about a table came about for somebody else, with all that is kept from them.

For administrators alone: it names hidden columns, grants that name others, whom rules and denials spare, and the
values of conditions. What it depends on is the policy, the principal and the facts, never data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from penstock_server.errors import QueryError, Reason
from penstock_server.model.cell_paths import written_path
from penstock_server.model.decision import TableDecision, TableHidden, TableOutcome
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.predicate import Always
from penstock_server.model.principal import Group, Principal, PrincipalSelector, selects
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import cells_of
from penstock_server.policy.bound import BoundFilter, BoundGrant, BoundPolicy, BoundTable
from penstock_server.policy.evaluation import candidates, decide, table_not_found
from penstock_server.policy.explanation.for_callers import explain_outcome
from penstock_server.policy.explanation.predicates import columns_in_words, predicate_in_words
from penstock_server.policy.explanation.unabridged_words import condition_against, principals_in_words, who_in_words
from penstock_server.policy.explanation.words import layer, names
from penstock_server.policy.filters.row_tests import predicate_for
from penstock_server.policy.rules.applicable import NO_ROW, rows_of
from penstock_server.policy.situation import Situation

MAX_GRANTS: Final = 200
"""Most grants of others that are told; those that name the principal are told all."""


def explain_for_administrator(
    policy: BoundPolicy,
    principal: Principal,
    parts: tuple[str, ...],
    *,
    default_catalog: str | None,
    facts: RequestFacts,
) -> ExplanationNode:
    """Explain what a principal sees of a table: first what they are told themselves, then what is kept from them.

    Raises:
        NotFound: there is no such table in the catalogs (`TABLE_NOT_FOUND`).
        QueryError: the name means several tables (`SQL_BINDING`), whoever may see them.
    """
    found = candidates(policy, parts, default_catalog)
    if not found:
        raise table_not_found(parts)
    if len(found) > 1:
        raise QueryError(
            Reason.SQL_BINDING,
            "the name means more than one table",
            hint=f"write it in full: {' or '.join(f'`{policy.tables[key].schema.name}`' for key in found[:5])}",
        )
    bound = policy.tables[found[0]]
    outcome = decide(policy, principal, bound.schema.name, facts=facts)
    told = _as_told(policy, principal, outcome, bound, facts)
    unabridged = _Unabridged(policy, principal, outcome, bound, facts).tree()
    return layer("table", told.verdict, f"`{bound.schema.name}` before {who_in_words(principal)}", (told, unabridged))


def _as_told(
    policy: BoundPolicy, principal: Principal, outcome: TableOutcome, bound: BoundTable, facts: RequestFacts
) -> ExplanationNode:
    if isinstance(outcome, TableHidden):
        words = f"there is no table `{bound.schema.name}`: every door answers as for a name that does not exist"
        return layer("as they are told", Verdict.REFUSED, words)
    tree = explain_outcome(policy, principal, outcome, facts=facts)
    return layer("as they are told", tree.verdict, tree.sentence, tree.children)


class _Unabridged:
    """Tells about one outcome what its principal must not know."""

    def __init__(
        self, policy: BoundPolicy, principal: Principal, outcome: TableOutcome, bound: BoundTable, facts: RequestFacts
    ) -> None:
        self._policy = policy
        self._principal = principal
        self._outcome = outcome
        self._bound = bound
        self._situation = Situation.of(policy, principal, facts)

    def tree(self) -> ExplanationNode:
        """Give the root with one child a layer."""
        layers = (self._grants(), self._columns(), self._row_rules(), self._column_rules(), self._denials())
        return layer("for administrators", Verdict.NOT_APPLICABLE, "what is kept from them, and why", layers)

    def _grants(self) -> ExplanationNode:
        own: list[ExplanationNode] = []
        others: list[ExplanationNode] = []
        left = 0
        for grant, selectors in self._on_the_table():
            by = tuple(selector for selector in selectors if selects(selector, self._principal))
            if by:
                own.append(self._naming(grant, by))
            elif len(others) < MAX_GRANTS:
                others.append(self._not_naming(grant, selectors))
            else:
                left += 1
        if not own and not others:
            return layer("grants", Verdict.REFUSED, "no grant is on the table")
        more = f"; {left} more name others" if left else ""
        verdict = Verdict.ALLOWED if own else Verdict.REFUSED
        words = f"{len(own)} of the grants on the table name them, {len(others) + left} do not{more}"
        return layer("grants", verdict, words, (*own, *others))

    def _on_the_table(self) -> Iterator[tuple[BoundGrant, tuple[PrincipalSelector, ...]]]:
        """Give every grant on the table, its database or its catalog with whom it names, by name."""
        key = self._bound.schema.name.key()
        found: dict[str, tuple[BoundGrant, list[PrincipalSelector]]] = {}
        for scope in (key, key[:2], key[:1]):
            for selector, grants in self._policy.grants.get(scope, {}).items():
                for grant in grants:
                    found.setdefault(grant.name, (grant, []))[1].append(selector)
        for name in sorted(found):
            grant, selectors = found[name]
            yield grant, tuple(selectors)

    def _naming(self, grant: BoundGrant, by: Sequence[PrincipalSelector]) -> ExplanationNode:
        given = ", ".join(sorted(permission.value for permission in grant.permissions))
        if grant.tags is not None:
            given += f" where {grant.tags}"
        head = f"`{grant.name}` names them as {self._named(by)} and would give {given}"
        if self._situation.ended(grant):
            ended = grant.expires.isoformat() if grant.expires is not None else ""
            return layer("grant", Verdict.REFUSED, f"{head}, but ended at {ended}")
        failing = self._situation.failing(grant)
        if failing:
            conditions = tuple(
                layer("condition", Verdict.REFUSED, condition_against(one, self._situation)) for one in failing
            )
            return layer("grant", Verdict.REFUSED, f"{head}, but not all of its conditions are true", conditions)
        filters = tuple(layer("filter", Verdict.ALLOWED, self._filter(part)) for part in grant.filters)
        return layer(
            "grant",
            Verdict.ALLOWED,
            f"`{grant.name}` names them as {self._named(by)} and gives {given}",
            filters,
        )

    def _not_naming(self, grant: BoundGrant, selectors: Sequence[PrincipalSelector]) -> ExplanationNode:
        missing = "they are none of these, and in none of these groups"
        if not self._principal.groups_complete and any(isinstance(selector, Group) for selector in selectors):
            missing += " as far as their token tells"
        return layer(
            "grant",
            Verdict.NOT_APPLICABLE,
            f"`{grant.name}` names {self._named(selectors)}: {missing}",
        )

    def _filter(self, part: BoundFilter) -> str:
        columns = "all columns" if part.columns is None else f"the columns {self._ordered(part.columns)}"
        rows = predicate_for(part.rows, self._principal, default_issuer=self._policy.default_issuer)
        where = "all rows" if isinstance(rows, Always) else f"rows where {predicate_in_words(rows)}"
        masks = "".join(
            f"; `{written_path(column)}` masked by `{mask.name}`" for column, mask in sorted(part.masks.items())
        )
        return f"{columns} of {where}{masks}"

    def _columns(self) -> ExplanationNode:
        closed = self._bound.closed_columns(self._principal)
        match self._outcome:
            case TableDecision():
                visible = {cell.name for cell in self._outcome.table.cells()}
            case TableHidden():
                visible = set()
            case described:
                visible = {cell.name for column in described.columns for cell in cells_of(column)}
        hidden = [cell.name for cell in self._bound.schema.cells() if cell.name not in visible]
        if not hidden:
            return layer("hidden columns", Verdict.ALLOWED, "they see every column")
        told = tuple(
            layer("hidden column", Verdict.REFUSED, self._why_hidden(column, closed)) for column in hidden[:MAX_GRANTS]
        )
        return layer("hidden columns", Verdict.NARROWED, f"{len(hidden)} columns are hidden from them", told)

    def _why_hidden(self, column: str, closed: frozenset[str]) -> str:
        if column in closed and column in self._bound.columns_denied(self._principal):
            return f"`{written_path(column)}`: a denial by tags does not spare them"
        if column in closed:
            named = self._named(self._bound.column_rules[column])
            return f"`{written_path(column)}`: its column rules name {named} alone"
        return f"`{written_path(column)}`: no grant that holds for them shows it"

    def _row_rules(self) -> ExplanationNode:
        if not self._bound.row_rules:
            return layer("row rules", Verdict.NOT_APPLICABLE, "no rules dataset is on the table")
        told: list[ExplanationNode] = []
        for dataset in self._bound.row_rules:
            rows = rows_of(dataset, self._principal, at=self._situation.instant)
            if rows == NO_ROW:
                words = f"`{dataset.name}` has no rule for them or their groups: no row is left"
                if dataset.stale(self._situation.instant):
                    words = f"`{dataset.name}` is older than its `max_staleness`, as its query fails: no row is left"
                elif dataset.denies:
                    words = f"`{dataset.name}` takes all rows, or their groups or username are not all known"
                told.append(layer("rules dataset", Verdict.REFUSED, words))
                continue
            where = "all rows" if isinstance(rows, Always) else f"rows where {predicate_in_words(rows)}"
            verdict = Verdict.ALLOWED if isinstance(rows, Always) else Verdict.NARROWED
            told.append(layer("rules dataset", verdict, f"`{dataset.name}` leaves {where}"))
        narrowed = any(each.verdict is not Verdict.ALLOWED for each in told)
        verdict = Verdict.NARROWED if narrowed else Verdict.ALLOWED
        return layer("row rules", verdict, "a row is left where every rules dataset shows it", told)

    def _column_rules(self) -> ExplanationNode:
        rules = self._bound.column_rules
        if not rules:
            return layer("column rules", Verdict.NOT_APPLICABLE, "no column rule is on the table")
        closed = self._bound.columns_ruled_out(self._principal)
        told = tuple(
            layer(
                "column rule",
                Verdict.REFUSED if column in closed else Verdict.ALLOWED,
                f"`{written_path(column)}` is for {self._named(rules[column])}",
            )
            for column in sorted(rules)[:MAX_GRANTS]
        )
        verdict = Verdict.NARROWED if closed else Verdict.ALLOWED
        return layer(
            "column rules", verdict, f"{len(closed)} of {len(rules)} columns under rules are closed to them", told
        )

    def _denials(self) -> ExplanationNode:
        if not self._bound.denials:
            return layer("denials", Verdict.NOT_APPLICABLE, "no denial is on the table")
        told: list[ExplanationNode] = []
        for denial in self._bound.denials:
            taken = ", ".join(sorted(permission.value for permission in denial.permissions))
            spared = self._named(denial.spared.selectors) if denial.spared.selectors else "nobody"
            reached = denial.spared.holds_for(self._principal)
            words = f"{taken} is denied to all but {spared}: {'they are not' if reached else 'they are'} spared"
            told.append(layer("denial", Verdict.REFUSED if reached else Verdict.ALLOWED, words))
        for closing in self._bound.column_denials:
            spared = self._named(closing.spared.selectors) if closing.spared.selectors else "nobody"
            reached = closing.spared.holds_for(self._principal)
            words = f"the columns {self._ordered(closing.columns)} are denied by their tags to all but {spared}"
            told.append(layer("denial", Verdict.REFUSED if reached else Verdict.ALLOWED, words))
        reaching = any(each.verdict is Verdict.REFUSED for each in told)
        return layer(
            "denials", Verdict.REFUSED if reaching else Verdict.ALLOWED, "denials hold whatever the grants say", told
        )

    def _named(self, selectors: Iterable[PrincipalSelector]) -> str:
        return principals_in_words(self._policy.default_issuer, selectors)

    def _ordered(self, columns: frozenset[str]) -> str:
        return names(islice(columns_in_words(self._bound.schema, columns), MAX_GRANTS))
