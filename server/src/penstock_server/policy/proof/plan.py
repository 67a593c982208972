"""The plan of a change: two bound policies in, a verdict for every table, bucket and login out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from penstock_server.policy.bound import BoundPolicy, TableKey
from penstock_server.policy.proof.budget import Budget
from penstock_server.policy.proof.classes import changed_classes
from penstock_server.policy.proof.comparison import TablePair, compare_table
from penstock_server.policy.proof.confirmation import TableConfirmation
from penstock_server.policy.proof.doors import compare_doors
from penstock_server.policy.proof.findings import ClassPlan, Inference, Plan, Same, SubjectKind, SubjectPlan, Undecided
from penstock_server.policy.proof.inference import new_inferences
from penstock_server.policy.proof.items import compare_items, compare_services
from penstock_server.policy.proof.known import NotUnderstood
from penstock_server.policy.proof.reading import further_fields, read_table, same_table


class Abandoned(Exception):
    """A comparison was given up on because nobody wants it any more."""


def compare(old: BoundPolicy, new: BoundPolicy, *, at: datetime, budget: Budget) -> Plan:
    """Prove what a change from one policy to another does, from an instant (aware) on.

    Holds for all principals and all possible data of the catalogs to which both are bound; the budget is for each
    table, bucket and login. Pure: the same in, the same out.
    """
    return compare_while(lambda: True, old, new, at=at, budget=budget)


def compare_while(
    going_on: Callable[[], bool], old: BoundPolicy, new: BoundPolicy, *, at: datetime, budget: Budget
) -> Plan:
    """Compare as `compare` does, for as long as somebody wants it: asked before each table, bucket and login.

    Raises:
        Abandoned: nobody wants it any more; there is no plan of a part.
    """
    subjects: list[SubjectPlan] = []
    for subject in _Planner(old, new, at, budget).subjects():
        subjects.append(subject)
        if not going_on():
            raise Abandoned
    changed = tuple(subject for subject in subjects if not isinstance(subject.verdict, Same) or subject.notices)
    return Plan(
        old=old.version,
        new=new.version,
        since=at,
        default_issuer=new.default_issuer,
        subjects=changed,
        unchanged=len(subjects) - len(changed),
    )


def table_pair(old: BoundPolicy, new: BoundPolicy, key: TableKey) -> TablePair:
    """Give both versions of a table that is in one of them at least.

    Raises:
        NotUnderstood: something decides about it that the proof has no reading of.
    """
    bound = new.tables.get(key) or old.tables[key]
    return TablePair(
        old=read_table(old, key),
        new=read_table(new, key),
        old_sees=TableConfirmation(old, bound.schema.name),
        new_sees=TableConfirmation(new, bound.schema.name),
    )


class _Planner:
    def __init__(self, old: BoundPolicy, new: BoundPolicy, at: datetime, budget: Budget) -> None:
        self._old = old
        self._new = new
        self._at = at
        self._budget = budget
        self._further: Mapping[str, object] = {}

    def subjects(self) -> Iterator[SubjectPlan]:
        """Compare everything."""
        try:
            self._further, after = further_fields(self._old), further_fields(self._new)
        except NotUnderstood as error:
            yield _undecided(SubjectKind.POLICY, "everything", str(error))
            return
        if self._further != after:
            # What the proof has no reading of may bear on every decision.
            names = _names(self._further.keys() | after.keys())
            yield _undecided(
                SubjectKind.POLICY, "everything", f"{names} of the policy changes, which is not understood"
            )
            return
        for key in sorted(self._old.tables.keys() | self._new.tables.keys()):
            yield self._table(key)
        credentials = [
            (policy.s3_grants, policy.redshift_grants, policy.dynamodb_grants, policy.service_grants)
            for policy in (self._old, self._new)
        ]
        if self._further and credentials[0] != credentials[1]:
            yield _undecided(SubjectKind.POLICY, "all credentials", self._bears_on())
            return
        yield from compare_doors(self._old, self._new, since=self._at, budget=self._budget)
        yield from compare_items(self._old, self._new)
        yield from compare_services(self._old, self._new)

    def _table(self, key: TableKey) -> SubjectPlan:
        bound = self._new.tables.get(key) or self._old.tables[key]
        name = bound.schema.name
        if same_table(self._old, self._new, key):
            return SubjectPlan(kind=SubjectKind.TABLE, name=str(name), verdict=Same(), classes=(), notices=())
        if self._further:
            return _undecided(SubjectKind.TABLE, str(name), self._bears_on())
        try:
            pair = table_pair(self._old, self._new, key)
        except NotUnderstood as error:
            return _undecided(SubjectKind.TABLE, str(name), str(error))
        verdict = compare_table(pair, since=self._at, budget=self._budget, only=None)
        classes: list[ClassPlan] = []
        notices: list[Inference] = []
        for named in changed_classes(pair) if not isinstance(verdict, Same) else ():
            of_class = compare_table(named.pair, since=self._at, budget=self._budget, only=named.members[0])
            if not isinstance(of_class, Same):
                classes.append(ClassPlan(members=named.members, verdict=of_class))
                notices += new_inferences(named.pair, named.members[0], since=self._at, budget=self._budget)
        return SubjectPlan(
            kind=SubjectKind.TABLE,
            name=str(name),
            verdict=verdict,
            classes=tuple(classes),
            notices=tuple(notices),
        )

    def _bears_on(self) -> str:
        return f"{_names(self._further)} of the policy may bear on it, which is not understood"


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(fields))


def _undecided(kind: SubjectKind, name: str, reason: str) -> SubjectPlan:
    return SubjectPlan(kind=kind, name=name, verdict=Undecided(reasons=(reason,)), classes=(), notices=())
