"""How a decision about a table came about, as a tree of its layers in words.

Holds only the caller's own grants and names that the caller may see: a test on a column that is hidden from them is
told as one, without its name or values. Nothing in it depends on data.
"""

from __future__ import annotations

from penstock_server.model.decision import CellCase, TableDecision, TableDescribed, TableHidden
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.predicate import Always
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TablePermission
from penstock_server.model.schema import TableSchema, cells_of
from penstock_server.policy.applicable_grants import (
    describing,
    in_force,
    named_grants,
    naming_selectors,
    selecting,
)
from penstock_server.policy.bound import BoundFilter, BoundGrant, BoundPolicy, BoundRowRules
from penstock_server.policy.conditions.posture import required
from penstock_server.policy.evaluation import resolve, table_not_found
from penstock_server.policy.explanation.predicates import columns_in_words
from penstock_server.policy.explanation.words import (
    condition_in_words,
    identity_layer,
    later_columns_in_words,
    layer,
    names,
    narrowing_in_words,
    remedies,
    rows_in_words,
    selector_in_words,
)
from penstock_server.policy.filters.row_tests import predicate_for
from penstock_server.policy.rules.applicable import NO_ROW, rows_of
from penstock_server.policy.situation import Situation


def explain(
    policy: BoundPolicy,
    principal: Principal,
    parts: tuple[str, ...],
    *,
    default_catalog: str | None,
    facts: RequestFacts,
) -> ExplanationNode:
    """Explain what a principal sees of a table, by a name of one to three parts, in a request.

    Raises:
        NotFound: there is no such table for the principal (`TABLE_NOT_FOUND`), with the text of `table_not_found`.
        QueryError: the name means several tables.
    """
    outcome = resolve(policy, principal, parts, default_catalog=default_catalog, facts=facts)
    if isinstance(outcome, TableHidden):
        raise table_not_found(parts)
    return explain_outcome(policy, principal, outcome, facts=facts)


def explain_outcome(
    policy: BoundPolicy, principal: Principal, outcome: TableDecision | TableDescribed, *, facts: RequestFacts
) -> ExplanationNode:
    """Explain what was decided about a table, to the principal of whom it was decided."""
    return _Explainer(policy, principal, outcome, facts).tree()


class _Explainer:
    """Explains one outcome."""

    def __init__(
        self, policy: BoundPolicy, principal: Principal, outcome: TableDecision | TableDescribed, facts: RequestFacts
    ) -> None:
        self._policy = policy
        self._principal = principal
        self._outcome = outcome
        self._situation = Situation.of(policy, principal, facts)
        if isinstance(outcome, TableDecision):
            self._name = outcome.table.name
            self._clear = frozenset(
                cell.name
                for governed in outcome.table.parts()
                if governed.cases == (CellCase(when=Always(), mask=None),)
                for cell in cells_of(governed.column)
            )
        else:
            self._name = outcome.schema.name
            self._clear = frozenset()
        self._closed = policy.tables[self._name.key()].closed_columns(principal)
        self._denied = policy.tables[self._name.key()].denied(principal)
        self._ruled_out = policy.tables[self._name.key()].columns_ruled_out(principal)
        self._columns_denied = policy.tables[self._name.key()].columns_denied(principal)

    def tree(self) -> ExplanationNode:
        """Give the root with one child a layer, in the order of the decision."""
        outcome = self._outcome
        layers = (
            identity_layer(self._principal),
            self._grants(),
            *self._posture(),
            self._row_rules(),
            self._column_rules(),
            self._masks(),
            self._denials(),
            self._door(),
        )
        if isinstance(outcome, TableDescribed):
            return layer("table", Verdict.REFUSED, outcome.reason, layers)
        why = narrowing_in_words(outcome.shaping)
        if why:
            return layer("table", Verdict.NARROWED, f"you may read a part of `{self._name}`: {why}", layers)
        return layer("table", Verdict.ALLOWED, f"you may read all of `{self._name}`", layers)

    def _grants(self) -> ExplanationNode:
        grants = named_grants(self._policy, self._principal, self._name.key())
        children = tuple(self._grant(grant) for grant in grants)
        if isinstance(self._outcome, TableDescribed):
            if selecting(in_force(grants, self._situation)):
                return layer("grants", Verdict.NARROWED, "your grants alone would let you read the table", children)
            return ExplanationNode(
                layer="grants",
                verdict=Verdict.REFUSED,
                sentence="none of your grants lets you read the table",
                children=children,
            )
        narrowed = self._outcome.shaping.columns_left_out or not all(
            isinstance(governed.cases[-1].when, Always) for governed in self._outcome.table.parts()
        )
        columns = names(columns_in_words(self._schema, {cell.name for cell in self._outcome.table.cells()}))
        return ExplanationNode(
            layer="grants",
            verdict=Verdict.NARROWED if narrowed else Verdict.ALLOWED,
            sentence=f"together your grants show the columns {columns}",
            children=children,
        )

    def _grant(self, grant: BoundGrant) -> ExplanationNode:
        selectors = naming_selectors(self._policy, self._principal, self._name.key(), grant)
        who = " and ".join(selector_in_words(selector) for selector in selectors)
        head = f"`{grant.name}` names {who}"
        if self._situation.ended(grant):
            ended = grant.expires.isoformat() if grant.expires is not None else ""
            return layer("grant", Verdict.NOT_APPLICABLE, f"{head}, but ended at {ended}; ask for it to be renewed")
        failing = self._situation.failing(grant)
        if failing:
            return ExplanationNode(
                layer="grant",
                verdict=Verdict.NOT_APPLICABLE,
                sentence=f"{head}, but not all of its conditions are true",
                children=tuple(
                    layer("condition", Verdict.REFUSED, condition_in_words(one, self._situation)) for one in failing
                ),
            )
        given = ", ".join(sorted(permission.value for permission in grant.permissions))
        ends = f", until {grant.expires.isoformat()}" if grant.expires is not None else ""
        # The expression is the caller's own grant's; what tags anything has is told nowhere.
        by_tags = f" on what has matching tags: {grant.tags}" if grant.tags is not None else ""
        sentence = f"{head} and gives {given}{by_tags}{ends}"
        if not grant.permissions & {TablePermission.SELECT, TablePermission.DESCRIBE}:
            return ExplanationNode(layer="grant", verdict=Verdict.NOT_APPLICABLE, sentence=sentence)
        reads = TablePermission.SELECT in grant.permissions
        children = tuple(self._filter(part, reads=reads) for part in grant.filters)
        narrowed = any(child.verdict is Verdict.NARROWED for child in children)
        return ExplanationNode(
            layer="grant",
            verdict=Verdict.NARROWED if narrowed else Verdict.ALLOWED,
            sentence=sentence,
            children=children,
        )

    def _posture(self) -> tuple[ExplanationNode, ...]:
        """Give the layer of what the grants require of the data; none where they require nothing."""
        asked = {
            requirement
            for grant in named_grants(self._policy, self._principal, self._name.key())
            for condition in (grant.conditions.conditions if grant.conditions is not None else ())
            if (requirement := required(condition)) is not None
        }
        if not asked:
            return ()
        missing = sorted(
            requirement.value
            for requirement, bucket in asked
            if not self._situation.posture.meets(bucket, requirement, at=self._situation.instant)
        )
        if not missing:
            return (layer("posture", Verdict.ALLOWED, "the data is all that your grants require of it"),)
        words = f"the data is not known to be {' and '.join(missing)}, as a grant of yours requires"
        return (layer("posture", Verdict.NARROWED, f"{words}; ask the owner of the data to mend that"),)

    def _filter(self, part: BoundFilter, *, reads: bool) -> ExplanationNode:
        rows = predicate_for(part.rows, self._principal, default_issuer=self._policy.default_issuer)
        if part.columns is None:
            columns = "all columns"
            clear = frozenset(cell.name for cell in self._schema.cells()) - part.masks.keys()
        else:
            shown = columns_in_words(self._schema, part.columns - self._closed)
            columns = f"the columns {names(shown)}" if shown else "no column"
            clear = part.columns - part.masks.keys()
        # SECURITY: a column that a column rule or a denial closes is hidden, whatever the grant says.
        clear -= self._closed
        later = later_columns_in_words(part)
        if not reads:
            return layer("filter", Verdict.ALLOWED, f"{columns}{later}")
        verdict = Verdict.ALLOWED if part.columns is None and isinstance(rows, Always) else Verdict.NARROWED
        return layer("filter", verdict, f"{columns} of {rows_in_words(rows, clear, self._schema)}{later}")

    def _row_rules(self) -> ExplanationNode:
        datasets = self._policy.tables[self._name.key()].row_rules
        if not datasets or isinstance(self._outcome, TableDescribed):
            return layer("row rules", Verdict.NOT_APPLICABLE, "no rules dataset plays a part here")
        children = tuple(self._dataset(dataset) for dataset in datasets)
        if all(child.verdict is Verdict.ALLOWED for child in children):
            return layer("row rules", Verdict.ALLOWED, "the rules leave every row", children)
        return layer("row rules", Verdict.NARROWED, "rows are left where every rules dataset shows them", children)

    def _dataset(self, dataset: BoundRowRules) -> ExplanationNode:
        if dataset.stale(self._situation.instant):
            return layer(
                "rules dataset",
                Verdict.REFUSED,
                f"`{dataset.name}` could not be refreshed for too long: no row is left until its query works again",
            )
        rows = rows_of(dataset, self._principal, at=self._situation.instant)
        if rows == NO_ROW and dataset.denies:
            return layer(
                "rules dataset",
                Verdict.REFUSED,
                f"`{dataset.name}` takes all rows from you, or it cannot be told which rows it takes: no row is left",
            )
        if rows == NO_ROW:
            return layer(
                "rules dataset", Verdict.REFUSED, f"`{dataset.name}` names neither you nor your groups: no row is left"
            )
        verdict = Verdict.ALLOWED if isinstance(rows, Always) else Verdict.NARROWED
        shown = rows_in_words(rows, self._clear, self._schema)
        return layer("rules dataset", verdict, f"`{dataset.name}` shows you {shown}")

    def _column_rules(self) -> ExplanationNode:
        if not self._policy.tables[self._name.key()].column_rules:
            return layer("column rules", Verdict.NOT_APPLICABLE, "no column rule plays a part here")
        if self._granted(self._ruled_out):
            return layer("column rules", Verdict.NARROWED, "column rules leave out columns that your grants show")
        return layer("column rules", Verdict.ALLOWED, "the column rules leave every column that your grants show")

    def _granted(self, closed: frozenset[str]) -> bool:
        """Tell whether the caller's grants would show any of these columns.

        SECURITY: what is left out is not named; where no grant shows it, not even that something is.
        """
        granted = describing(in_force(named_grants(self._policy, self._principal, self._name.key()), self._situation))
        shown = [part.columns for grant in granted for part in grant.filters]
        return bool(closed) and any(columns is None or columns & closed for columns in shown)

    def _masks(self) -> ExplanationNode:
        outcome = self._outcome
        if isinstance(outcome, TableDescribed) or not outcome.shaping.masked:
            return layer("masks", Verdict.NOT_APPLICABLE, "no cell is masked for you")
        children = tuple(
            layer("mask", Verdict.NARROWED, f"`{column}` shows the mask `{mask}` where no grant shows it clear")
            for column, mask in outcome.shaping.masked
        )
        return layer("masks", Verdict.NARROWED, "some cells are masked", children)

    def _denials(self) -> ExplanationNode:
        if TablePermission.SELECT in self._denied:
            return layer("denials", Verdict.REFUSED, "a denial that does not spare you keeps you from reading")
        if self._granted(self._columns_denied):
            return layer(
                "denials", Verdict.NARROWED, "a denial that does not spare you leaves out columns, and the files"
            )
        if TablePermission.RAW in self._denied:
            return layer("denials", Verdict.NARROWED, "a denial that does not spare you keeps the files from you")
        return layer("denials", Verdict.NOT_APPLICABLE, "no denial reaches you here")

    def _door(self) -> ExplanationNode:
        outcome = self._outcome
        if isinstance(outcome, TableDescribed):
            return layer("door", Verdict.REFUSED, outcome.hint)
        if outcome.full:
            return layer("door", Verdict.ALLOWED, "nothing of the table is hidden from you")
        asked = remedies(outcome.shaping)
        if TablePermission.RAW in self._denied:
            return layer("door", Verdict.NARROWED, "query the table; its files stay closed to you", asked)
        return layer(
            "door",
            Verdict.NARROWED,
            "query the table; its files stay closed to you, as they hold what you may not see",
            asked,
        )

    @property
    def _schema(self) -> TableSchema:
        return self._policy.tables[self._name.key()].schema
