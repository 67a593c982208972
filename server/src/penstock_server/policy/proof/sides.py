"""One version of a table as formulas over principals, instants and rows: the decision of `policy.evaluation`, symbolic.

A row is visible where a filter of a grant that applies and every rules dataset IS TRUE; a filter whose columns are all
closed by column rules and denials does not count. A cell of it is clear where a filter that shows its column clear IS
TRUE, else it shows the mask of lowest rank whose filter IS TRUE, else NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from penstock_server.model.resource import TablePermission
from penstock_server.policy.proof.callers import Callers
from penstock_server.policy.proof.circumstances import Circumstances
from penstock_server.policy.proof.formulas import FALSE, TRUE, Formulas, Node
from penstock_server.policy.proof.inputs import FilterInput, GrantInput, MaskInput, TableInput
from penstock_server.policy.proof.later_columns import LATER_COLUMNS
from penstock_server.policy.proof.lowering import Lowering
from penstock_server.policy.proof.moments import Moments
from penstock_server.policy.proof.rules import DatasetKey, DatasetTerms

_DESCRIBING: Final = frozenset({TablePermission.SELECT, TablePermission.DESCRIBE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSide:
    """One column: where filters show it clear, and where they show each of its masks, lowest rank first.

    The formulas leave out the rules datasets, which bear on all columns alike.
    """

    clear: frozenset[Node]
    masks: tuple[tuple[MaskInput, frozenset[Node]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One version. `names` tells who may know of each column; `full` and `files` who may have the files of the table.

    `rows` are the filters of all grants, any of which makes a row visible where `rules` holds too.
    """

    names: Mapping[str, Node]
    rows: frozenset[Node]
    rules: Node
    columns: Mapping[str, ColumnSide]
    full: Node
    files: Node


class SideMaker:
    """Makes sides in one set of formulas."""

    def __init__(
        self,
        formulas: Formulas,
        callers: Callers,
        moments: Moments,
        circumstances: Circumstances,
        lowering: Lowering,
    ) -> None:
        self._formulas = formulas
        self._callers = callers
        self._moments = moments
        self._circumstances = circumstances
        self._lowering = lowering
        self._lumps: dict[DatasetKey, Node] = {}

    @property
    def lumps(self) -> Mapping[DatasetKey, Node]:
        """The free truth value of each lump."""
        return self._lumps

    def side(self, table: TableInput | None, datasets: Sequence[DatasetTerms]) -> Side:
        """Give one version of a table; None = there is no such table."""
        if table is None:
            return Side(names={}, rows=frozenset(), rules=FALSE, columns={}, full=FALSE, files=FALSE)
        formulas = self._formulas
        applying = [(grant, self._applies(grant, carried=False)) for grant in table.grants]
        # The files of a table leave in a credential, which works from any address.
        carried = [(grant, self._applies(grant, carried=True)) for grant in table.grants]
        # Without DESCRIBE nothing is left; who may not read the rows may not have the files that hold them.
        hidden = self._denied(table, {TablePermission.DESCRIBE})
        unread = self._denied(table, _DESCRIBING)
        no_files = self._denied(table, {*_DESCRIBING, TablePermission.RAW})
        reading = self._left(applying, {TablePermission.SELECT}, unread)
        describing = self._left(applying, _DESCRIBING, hidden)
        raw = [who for _, who in self._left(carried, {TablePermission.RAW}, no_files)]
        schema = [name for name, _ in table.columns]
        columns = tuple(dict.fromkeys((*schema, LATER_COLUMNS)))
        opened = self._opened(table)
        filters = [
            (part, formulas.conjunction((who, self._lowering.true(part.rows))))
            for grant, who in reading
            for part in grant.filters
        ]
        everything = [
            who
            for grant, who in self._left(carried, {TablePermission.SELECT}, no_files)
            if any(part.everything for part in grant.filters)
        ]
        full = FALSE if datasets or table.column_rules else formulas.disjunction(everything)
        spared = [self._callers.selected_by_any(selectors) for selectors in table.files_spared]
        known = formulas.disjunction([who for _, who in self._left(carried, _DESCRIBING, hidden)])
        return Side(
            names=self._names(columns, opened, reading, describing),
            rows=frozenset(self._row(part, node, schema, opened) for part, node in filters),
            rules=formulas.conjunction([self._rules(dataset) for dataset in datasets]),
            columns={column: self._column(column, filters, opened.get(column, TRUE)) for column in columns},
            full=full if table.location is not None else FALSE,
            files=(
                formulas.conjunction((formulas.disjunction(raw), known, full, *spared))
                if table.location is not None
                else FALSE
            ),
        )

    def _opened(self, table: TableInput) -> Mapping[str, Node]:
        """Give to whom each column is left that some column rule or denial may close."""
        return {
            column: self._formulas.conjunction(
                [
                    self._callers.selected_by_any(selectors)
                    for selectors in (
                        *([table.column_rules[column]] if column in table.column_rules else []),
                        *table.column_denials.get(column, ()),
                    )
                ]
            )
            for column in table.column_rules.keys() | table.column_denials.keys()
        }

    def _denied(self, table: TableInput, permissions: Set[TablePermission]) -> Node:
        """Give whom a denial of any of these reaches."""
        return self._formulas.disjunction(
            [
                self._formulas.negation(self._callers.selected_by_any(denial.spared))
                for denial in table.denials
                if denial.permissions & permissions
            ]
        )

    def _left(
        self, applying: Iterable[tuple[GrantInput, Node]], permissions: Set[TablePermission], denied: Node
    ) -> list[tuple[GrantInput, Node]]:
        """Give the grants with one of these permissions, each for those whom no denial reaches."""
        return [
            (grant, self._formulas.difference(who, denied))
            for grant, who in applying
            if grant.permissions & permissions
        ]

    def _applies(self, grant: GrantInput, *, carried: bool) -> Node:
        return self._formulas.conjunction(
            (
                self._callers.selected_by_any(grant.selectors),
                self._moments.before(grant.expires),
                self._circumstances.holding(grant.conditions, carried=carried),
            )
        )

    def _names(
        self,
        columns: Iterable[str],
        opened: Mapping[str, Node],
        reading: Sequence[tuple[GrantInput, Node]],
        describing: Sequence[tuple[GrantInput, Node]],
    ) -> Mapping[str, Node]:
        """Give who may know of each column: by grants that let read, or where there is none by those that describe."""
        formulas = self._formulas
        unreadable = formulas.negation(formulas.disjunction([who for _, who in reading]))

        def naming(grants: Sequence[tuple[GrantInput, Node]], column: str) -> Node:
            return formulas.disjunction(
                [who for grant, who in grants if any(part.shows(column) for part in grant.filters)]
            )

        return {
            column: formulas.conjunction(
                (
                    opened.get(column, TRUE),
                    formulas.disjunction(
                        (naming(reading, column), formulas.conjunction((unreadable, naming(describing, column))))
                    ),
                )
            )
            for column in columns
        }

    def _row(self, part: FilterInput, node: Node, schema: Iterable[str], opened: Mapping[str, Node]) -> Node:
        """Give where a filter shows the row; one of which no column is left shows none, as if it were not there."""
        left = [opened.get(column, TRUE) for column in schema if part.shows(column)]
        return self._formulas.conjunction((node, self._formulas.disjunction(left)))

    def _column(self, column: str, filters: Iterable[tuple[FilterInput, Node]], opened: Node) -> ColumnSide:
        clear: set[Node] = set()
        masks: dict[int, tuple[MaskInput, set[Node]]] = {}
        for part, filtered in filters:
            if not part.shows(column):
                continue
            node = self._formulas.conjunction((filtered, opened))
            mask = dict(part.masks).get(column)
            if mask is None:
                clear.add(node)
            else:
                masks.setdefault(mask.rank, (mask, set()))[1].add(node)
        return ColumnSide(
            clear=frozenset(clear), masks=tuple((masks[rank][0], frozenset(masks[rank][1])) for rank in sorted(masks))
        )

    def _rules(self, dataset: DatasetTerms) -> Node:
        formulas = self._formulas
        rows = [
            formulas.conjunction((self._callers.selected(selector), self._lowering.true(term)))
            for selector, term in dataset.rows
        ]
        if dataset.lump:
            if dataset.key not in self._lumps:
                self._lumps[dataset.key] = formulas.literal(formulas.variable(3), 2)
            rows.append(self._lumps[dataset.key])
        return formulas.conjunction((self._moments.before(dataset.fresh_until), formulas.disjunction(rows)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a column shows, clear (`mask` None) or a mask: where a filter of `reached` holds and none of `better`.

    Beside all that a column shows it is NULL, or the row is hidden.
    """

    mask: MaskInput | None
    reached: frozenset[Node]
    better: frozenset[Node]


def shown(column: ColumnSide) -> tuple[Shown, ...]:
    """Give all that a column shows, in the order in which it decides: first the value, then masks by their ranks."""
    parts = [Shown(mask=None, reached=column.clear, better=frozenset())]
    for mask, nodes in column.masks:
        parts.append(Shown(mask=mask, reached=nodes, better=parts[-1].better | parts[-1].reached))
    return tuple(parts)
