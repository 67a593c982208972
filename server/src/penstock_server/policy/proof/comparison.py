"""Compares two versions of one table: asks all questions, confirms the witnesses, and gives the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Final

from penstock_server.model.cell_paths import written_path
from penstock_server.model.resource import TableName
from penstock_server.model.schema import ColumnType
from penstock_server.policy.proof.answers import NOTHING_FOUND, Answer, Asked, found, merged, unconfirmed, verdict_of
from penstock_server.policy.proof.budget import Budget, OutOfBudget, Work
from penstock_server.policy.proof.callers import Callers, Somebody
from penstock_server.policy.proof.circumstances import Circumstances
from penstock_server.policy.proof.confirmation import TableConfirmation, Witness
from penstock_server.policy.proof.disclosure import Disclosure
from penstock_server.policy.proof.findings import Example, Finding, Undecided, Verdict
from penstock_server.policy.proof.formulas import TRUE, Formulas, Node
from penstock_server.policy.proof.inputs import TableInput, further_selectors
from penstock_server.policy.proof.known import NotUnderstood
from penstock_server.policy.proof.later_columns import is_later
from penstock_server.policy.proof.lowering import Lowering
from penstock_server.policy.proof.models import Models
from penstock_server.policy.proof.moments import Moments
from penstock_server.policy.proof.questions import Question, Questions
from penstock_server.policy.proof.realization import Realizer
from penstock_server.policy.proof.rules import DatasetTerms, RuleSlices, Slice
from penstock_server.policy.proof.scales import shown
from penstock_server.policy.proof.sides import Side, SideMaker
from penstock_server.policy.proof.terms import Term

_ASIDE: Final = 20_000
"""Steps for a question on which no verdict hangs."""
_MOST_SLICES: Final = 64
"""Most slices in which a lump is spelled out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePair:
    """Both versions of a table (None = there is none), and the serving evaluator's view of each."""

    old: TableInput | None
    new: TableInput | None
    old_sees: TableConfirmation
    new_sees: TableConfirmation


def compare_table(pair: TablePair, *, since: datetime, budget: Budget, only: Somebody | None) -> Verdict:
    """Give the verdict for one table, for all principals from an instant (aware) on; with `only` for those alone."""
    try:
        comparison = _Comparison(pair, since, budget, only)
    except NotUnderstood as error:
        return Undecided(reasons=(str(error),))
    gains = comparison.answer(_gains)
    undecided = gains.open_questions and not gains.findings
    losses = partial(_losses, wider=bool(gains.findings))
    return verdict_of(gains, NOTHING_FOUND if undecided else comparison.answer(losses))


class _Comparison:
    """One table, slice by slice."""

    def __init__(self, pair: TablePair, since: datetime, budget: Budget, only: Somebody | None) -> None:
        self._pair = pair
        self._since = since
        self._budget = budget
        self._only = only
        self._types = _types(pair)
        self._slices = RuleSlices(pair.old, pair.new)
        self._formulas: dict[Slice, SliceFormulas] = {}

    def answer(self, direction: Direction) -> Answer:
        """Answer the questions of one direction for all principals."""
        return merged([self._of_slice(part, direction) for part in self._slices.all()])

    def _of_slice(self, part: Slice, direction: Direction) -> Answer:
        if part not in self._formulas:
            self._formulas[part] = self._made(part)
        answer = direction(self._formulas[part])
        if not part.lump or answer.findings or not answer.open_questions:
            return answer
        slices = self._slices.spelled_out(part)
        answers: list[Answer] = []
        for spelled in islice(slices, _MOST_SLICES):
            answers.append(direction(self._made(spelled)))
            if answers[-1].findings:
                return answers[-1]
        if next(slices, None) is not None or not self._slices.conclusive:
            answers.append(answer)
        return merged(answers)

    def _made(self, part: Slice) -> SliceFormulas:
        old = self._slices.terms(self._pair.old, part)
        new = self._slices.terms(self._pair.new, part)
        return SliceFormulas(
            self._pair, (old, new), self._types, since=self._since, budget=self._budget, only=self._only
        )


def whole_formulas(pair: TablePair, *, since: datetime, budget: Budget, only: Somebody | None) -> SliceFormulas:
    """Give both versions of a table as formulas, in the first slice of principals.

    Raises:
        NotUnderstood: the two versions cannot be compared.
    """
    slices = RuleSlices(pair.old, pair.new)
    part = next(slices.all())
    datasets = slices.terms(pair.old, part), slices.terms(pair.new, part)
    return SliceFormulas(pair, datasets, _types(pair), since=since, budget=budget, only=only)


class SliceFormulas:
    """Both versions of a table as formulas, for one slice of principals."""

    def __init__(
        self,
        pair: TablePair,
        datasets: tuple[tuple[DatasetTerms, ...], tuple[DatasetTerms, ...]],
        types: dict[str, ColumnType],
        *,
        since: datetime,
        budget: Budget,
        only: Somebody | None,
    ) -> None:
        self.pair = pair
        self.types = types
        self._tables = [table for table in (pair.old, pair.new) if table is not None]
        grants = [grant for table in self._tables for grant in table.grants]
        rows = [row for side in datasets for dataset in side for row in dataset.rows]
        terms: Iterator[Term] = chain(
            (part.rows for grant in grants for part in grant.filters), (term for _, term in rows)
        )
        self.formulas = Formulas(Work(budget))
        self.callers = Callers(
            self.formulas,
            chain(
                (one for grant in grants for one in grant.selectors),
                (one for table in self._tables for one in further_selectors(table)),
                (selector for selector, _ in rows),
            ),
            default_issuer=self._tables[0].default_issuer,
            only=only,
        )
        ends = chain(
            (grant.expires for grant in grants), (dataset.fresh_until for side in datasets for dataset in side)
        )
        self.moments = Moments(self.formulas, since, ends)
        self.circumstances = Circumstances(self.formulas, (one for grant in grants for one in grant.conditions))
        self.lowering = Lowering(self.formulas, self.callers, types, terms)
        self.models = Models(self.formulas, self.lowering)
        self.realizer = Realizer(self.callers, self.moments, self.circumstances, self.lowering)
        self.disclosure = Disclosure(pair.old)
        self._datasets = datasets
        self._sides: tuple[Side, Side] | None = None

    @property
    def name(self) -> TableName:
        """The name of the table."""
        return self._tables[0].name

    def sides(self) -> tuple[Side, Side]:
        """Give the old version and the new one.

        Raises:
            OutOfBudget: already the formulas are too large.
        """
        if self._sides is None:
            maker = SideMaker(self.formulas, self.callers, self.moments, self.circumstances, self.lowering)
            old = maker.side(self.pair.old, self._datasets[0])
            self._sides = old, maker.side(self.pair.new, self._datasets[1])
        return self._sides

    def asked(
        self, question: Question, less: TableConfirmation, more: TableConfirmation, *, within: Node | None
    ) -> Answer:
        """Answer one question, within some rows only where `within` is not None.

        Raises:
            OutOfBudget: it takes too much work.
        """
        has_model = False
        consistent = self.formulas.conjunction(
            (
                self.lowering.consistent(),
                self.circumstances.consistent(),
                TRUE if within is None else within,
            )
        )
        for node in question.nodes:
            model = self.models.find(self.formulas.conjunction((node, consistent)))
            if model is None:
                continue
            for witness in self.realizer.witnesses(model):
                # A witness may be another row than the model's: where the caller's own values decide, it is tried out.
                if within is not None and not (less.shows_row(witness) and more.shows_row(witness)):
                    continue
                words = question.check(less, more, witness)
                if words is not None:
                    return found(self._finding(question, witness, words))
            has_model = True
        return unconfirmed(_subject(question)) if has_model else NOTHING_FOUND

    def _finding(self, question: Question, witness: Witness, words: tuple[str, str]) -> Finding:
        row = tuple(
            (written_path(name), shown(witness.row[name], kind))
            for name, kind in self.types.items()
            if name in witness.relevant
        )
        return Finding(
            kind=question.kind,
            things=tuple(written_path(thing) for thing in question.things if not is_later(thing)),
            before=words[0],
            after=words[1],
            example=Example(who=witness.who, at=witness.at, given=witness.given, row=row),
        )


Direction = Callable[[SliceFormulas], Answer]


def _gains(formulas: SliceFormulas) -> Answer:
    """Ask what the new version shows more."""
    asking = _Asking(formulas, formulas.pair.old_sees, formulas.pair.new_sees)
    try:
        old, new = formulas.sides()
        questions = Questions(formulas.formulas, old, new)
        asking.ask(questions.names())
        rows = asking.ask((questions.rows(),))
        asking.ask(questions.telling_cells(formulas.disclosure), within=_in_both(formulas) if rows else None)
        asking.ask(questions.doors())
    except OutOfBudget as error:
        asking.asked.give_up(error)
    return asking.asked.answer()


def _losses(formulas: SliceFormulas, *, wider: bool) -> Answer:
    """Ask what the old version shows more, or otherwise; where it is `wider` anyway, without much effort."""
    asking = _Asking(formulas, formulas.pair.new_sees, formulas.pair.old_sees, effort=_ASIDE if wider else None)
    try:
        old, new = formulas.sides()
        questions = Questions(formulas.formulas, new, old)
        asking.ask(questions.names())
        rows = asking.ask((questions.rows(),))
        # INVARIANT: where nothing is gained, a row that the new version shows and the old one does not is ruled out.
        asking.ask(questions.other_cells(), within=_in_both(formulas) if rows or wider else None)
        asking.ask(questions.doors())
    except OutOfBudget as error:
        asking.asked.give_up(error)
    return asking.asked.turned()


class _Asking:
    """Asks questions in one direction. Once something is found the verdict is clear, and less effort is made."""

    def __init__(
        self, formulas: SliceFormulas, less: TableConfirmation, more: TableConfirmation, effort: int | None = None
    ) -> None:
        self.asked = Asked()
        self._formulas = formulas
        self._less = less
        self._more = more
        self._effort = effort

    def ask(self, questions: Iterable[Question], *, within: Node | None = None) -> bool:
        """Ask questions; tells whether there is any answer but "no".

        `within` are the rows that both versions show, where others were found to differ: what differs in those is
        told already, so that nothing hangs on these answers.

        Raises:
            OutOfBudget: a question on which the verdict hangs takes too much work.
        """
        answered = False
        for question in questions:
            try:
                with self._formulas.formulas.work.at_most(_ASIDE if within is not None else self._effort):
                    answer = self._formulas.asked(question, self._less, self._more, within=within)
            except OutOfBudget as error:
                if within is None and self._effort is None:
                    raise
                answer = Answer(findings=(), open_questions=() if within is not None else (str(error),))
            if within is not None:
                answer = replace(answer, open_questions=())
            answered |= self.asked.add(answer)
            if answer.findings:
                self._effort = _ASIDE
        return answered


def _in_both(formulas: SliceFormulas) -> Node:
    """Give where both versions show the row."""
    conditions = ((formulas.formulas.disjunction(side.rows), side.rules) for side in formulas.sides())
    return formulas.formulas.conjunction(chain.from_iterable(conditions))


def _subject(question: Question) -> str:
    things = ", ".join(written_path(thing) for thing in question.things if not is_later(thing))
    return f"{question.kind.value}: {things}" if things else question.kind.value


def _types(pair: TablePair) -> dict[str, ColumnType]:
    types: dict[str, ColumnType] = {}
    for table in (pair.old, pair.new):
        for name, kind in (*table.columns, *table.structs) if table is not None else ():
            if types.setdefault(name, kind) != kind:
                changed = f"changes its type from {types[name].sql} to {kind.sql}"
                raise NotUnderstood(f"the column `{written_path(name)}` {changed}")
    if pair.old is not None and pair.new is not None and pair.old.default_issuer != pair.new.default_issuer:
        raise NotUnderstood("the two versions have different default issuers")
    return types
