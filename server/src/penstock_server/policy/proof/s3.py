"""Compares the grants on one bucket: who newly gets which permission on which keys, and for how long.

Source: `policy.resources.decide_s3`, whose every rule is here as a formula over one request: an object, or a prefix
that ends in `/` or is empty, of any key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Final

from penstock_server.model.decision import Access, AwsDecision
from penstock_server.model.resource import S3Location, S3Permission
from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.answers import NOTHING_FOUND, Answer, Asked, found, unconfirmed, verdict_of
from penstock_server.policy.proof.budget import Budget, OutOfBudget
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.confirmation import Witness, facts_of, principal_of
from penstock_server.policy.proof.door_formulas import DoorVariables, in_words, until
from penstock_server.policy.proof.findings import Example, Finding, FindingKind, Undecided, Verdict
from penstock_server.policy.proof.formulas import Node
from penstock_server.policy.proof.globs import Glob, Wild, literal_text
from penstock_server.policy.proof.inputs import S3DenialInput, S3GrantInput
from penstock_server.policy.proof.lowering import Lowering
from penstock_server.policy.proof.models import Models
from penstock_server.policy.proof.realization import Realizer
from penstock_server.policy.proof.terms import Disjunction, Matches, Negation, OneOf, Term
from penstock_server.policy.resources import S3Request, decide_s3

_KEY: Final = "key"
_KEY_TYPE: Final = ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)
_PREFIX: Final = Disjunction(
    operands=(
        OneOf(column=_KEY, points=frozenset({""})),
        Matches(column=_KEY, glob=(Wild.RUN, "/")),
    )
)
_OBJECT: Final = Negation(operand=OneOf(column=_KEY, points=frozenset({""})))
_ASKED_BY: Final = {
    S3Permission.READ: Access.READ,
    S3Permission.VERSIONS: Access.READ,
    S3Permission.LIST: Access.LIST,
    S3Permission.WRITE: Access.WRITE,
    S3Permission.DELETE: Access.WRITE,
}
"""By which access each permission comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRules:
    """What one version says of one bucket."""

    grants: tuple[S3GrantInput, ...]
    denials: frozenset[S3DenialInput]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPair:
    """Both versions of the grants and denials on one bucket, and the policies that the serving evaluator asks."""

    bucket: str
    old: BucketRules
    new: BucketRules
    old_policy: BoundPolicy
    new_policy: BoundPolicy


def compare_bucket(pair: BucketPair, *, since: datetime, budget: Budget, only: Somebody | None) -> Verdict:
    """Give the verdict for one bucket, for all principals from an instant (aware) on; with `only` for those alone."""
    try:
        bucket = _Bucket(pair, since, budget, only)
    except OutOfBudget as error:
        return Undecided(reasons=(str(error),))
    gains = bucket.gains()
    undecided = gains.open_questions and not gains.findings
    return verdict_of(gains, NOTHING_FOUND if undecided else bucket.losses())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """Where one version gives a permission at all, and where by a credential that still lasts when it is used."""

    at_all: Node
    lasting: Node


_Permissions = Mapping[tuple[S3Permission, bool], _Given]
"""By permission, and whether it is on one object (else on a prefix)."""


class _Bucket:
    def __init__(self, pair: BucketPair, since: datetime, budget: Budget, only: Somebody | None) -> None:
        self._pair = pair
        grants = (*pair.old.grants, *pair.new.grants)
        denials = pair.old.denials | pair.new.denials
        self._variables = DoorVariables(
            grants,
            [denial.spared for denial in denials],
            default_issuer=pair.new_policy.default_issuer,
            since=since,
            budget=budget,
            only=only,
        )
        self._formulas = self._variables.formulas
        # One term for each grant: formulas of one term are made once.
        globs = {*(grant.glob for grant in grants), *(denial.glob for denial in denials)}
        self._terms: dict[Glob, Term] = {glob: _matching(glob) for glob in globs}
        self._beginnings: dict[Glob, Term] = {denial.glob: _beginning(denial.glob) for denial in denials}
        terms = (*self._terms.values(), *self._beginnings.values(), _OBJECT, _PREFIX)
        self._lowering = Lowering(self._formulas, self._variables.callers, {_KEY: _KEY_TYPE}, terms)
        self._models = Models(self._formulas, self._lowering)
        self._realizer = Realizer(
            self._variables.callers, self._variables.issued, self._variables.circumstances, self._lowering
        )
        self._old = self._permissions(pair.old)
        self._new = self._permissions(pair.new)

    def gains(self) -> Answer:
        asked = Asked()
        try:
            for answer in self._answers(self._old, self._new, self._pair.old_policy, self._pair.new_policy):
                asked.add(answer)
        except OutOfBudget as error:
            asked.give_up(error)
        return asked.answer()

    def losses(self) -> Answer:
        asked = Asked()
        try:
            for answer in self._answers(self._new, self._old, self._pair.new_policy, self._pair.old_policy):
                asked.add(answer)
        except OutOfBudget as error:
            asked.give_up(error)
        return asked.turned()

    def _answers(
        self, less: _Permissions, more: _Permissions, less_policy: BoundPolicy, more_policy: BoundPolicy
    ) -> Iterator[Answer]:
        formulas = self._formulas
        consistent = self._variables.consistent()
        for (permission, exact), given in more.items():
            before = less[permission, exact]
            question = _Question(permission, exact, self._pair.bucket)
            at_all = formulas.differences(given.at_all, before.at_all)
            nodes = [formulas.conjunction((node, consistent)) for node in at_all]
            yield self._asked(question, nodes, less_policy, more_policy)
            within = formulas.conjunction((before.at_all, consistent))
            longer = [
                formulas.conjunction((node, within)) for node in formulas.differences(given.lasting, before.lasting)
            ]
            yield self._asked(question.longer(), longer, less_policy, more_policy)

    def _asked(self, question: _Question, nodes: Sequence[Node], less: BoundPolicy, more: BoundPolicy) -> Answer:
        has_model = False
        for node in nodes:
            model = self._models.find(node)
            if model is None:
                continue
            for witness, at in product(self._realizer.witnesses(model), self._variables.instants(model.model)):
                finding = question.confirmed(replace(witness, at=max(at, witness.at)), less, more)
                if finding is not None:
                    return found(finding)
            has_model = True
        return unconfirmed(f"{question.permission} on objects") if has_model else NOTHING_FOUND

    def _permissions(self, rules: BucketRules) -> _Permissions:
        return {
            (permission, exact): given
            for exact in (True, False)
            for permission, given in self._of_form(rules, exact=exact).items()
        }

    def _of_form(self, rules: BucketRules, *, exact: bool) -> Mapping[S3Permission, _Given]:
        """Give what is given on objects, or on prefixes.

        Whoever asks to read gets VERSIONS too, and LIST on a prefix, whoever asks to write DELETE, where granted.
        """
        given = {permission: self._given(rules, permission, exact=exact) for permission in S3Permission}
        read, versions, listed = (given[one] for one in (S3Permission.READ, S3Permission.VERSIONS, S3Permission.LIST))
        write, delete = given[S3Permission.WRITE], given[S3Permission.DELETE]
        reading = self._credential(read, (versions,) if exact else (versions, listed))
        writing = self._credential(write, (delete,))
        found_ = {
            S3Permission.READ: reading,
            S3Permission.VERSIONS: self._both(reading, versions),
            S3Permission.WRITE: writing,
            S3Permission.DELETE: self._both(writing, delete),
        }
        return found_ if exact else {**found_, S3Permission.LIST: listed}

    def _credential(self, wanted: _Given, brought: Sequence[_Given]) -> _Given:
        pairs = [(one.at_all, one.lasting) for one in brought]
        return _Given(at_all=wanted.at_all, lasting=self._variables.bounded(wanted.lasting, pairs))

    def _both(self, credential: _Given, brought: _Given) -> _Given:
        return _Given(
            at_all=self._formulas.conjunction((credential.at_all, brought.at_all)),
            lasting=self._formulas.conjunction((credential.lasting, brought.at_all)),
        )

    def _given(self, rules: BucketRules, permission: S3Permission, *, exact: bool) -> _Given:
        """Give where one grant by itself covers the object, or every object below the prefix, and no denial reaches."""
        grants = (grant for grant in rules.grants if permission in grant.permissions)
        covering = [grant for grant in grants if exact or _ends_open(grant)]
        where = [self._lowering.true(self._terms[grant.glob]) for grant in covering]
        form = (
            self._lowering.true(_OBJECT if exact else _PREFIX),
            self._formulas.negation(self._denied(rules.denials, permission, exact=exact)),
        )
        formulas = self._formulas
        pairs = list(zip(covering, where, strict=True))
        return _Given(
            at_all=formulas.disjunction(
                [formulas.conjunction((self._variables.issuing(grant), node, *form)) for grant, node in pairs]
            ),
            lasting=formulas.disjunction(
                [formulas.conjunction((self._variables.lasting(grant), node, *form)) for grant, node in pairs]
            ),
        )

    def _denied(self, denials: Iterable[S3DenialInput], permission: S3Permission, *, exact: bool) -> Node:
        """Give where a denial takes a permission from an object, or from any object below a prefix.

        Who may not read an object may not read its older versions.
        """
        taken = {permission, S3Permission.READ} if permission is S3Permission.VERSIONS else {permission}
        terms = self._terms if exact else self._beginnings
        formulas = self._formulas
        return formulas.disjunction(
            [
                formulas.conjunction(
                    (
                        formulas.negation(self._variables.callers.selected_by_any(denial.spared)),
                        self._lowering.true(terms[denial.glob]),
                    )
                )
                for denial in denials
                if denial.permissions & taken
            ]
        )


class _Question:
    """A permission on objects or prefixes, and how the serving evaluator confirms it."""

    def __init__(self, permission: S3Permission, exact: bool, bucket: str, *, lifetime: bool = False) -> None:
        self.permission = permission
        self._exact = exact
        self._bucket = bucket
        self._lifetime = lifetime

    def longer(self) -> _Question:
        """Give the question about the lifetime."""
        return _Question(self.permission, self._exact, self._bucket, lifetime=True)

    def confirmed(self, witness: Witness, less: BoundPolicy, more: BoundPolicy) -> Finding | None:
        """Give the finding if the serving evaluator bears the witness out."""
        mine, others = self._until(witness, more), self._until(witness, less)
        if mine is None or (not self._lifetime and others is not None):
            return None
        if self._lifetime and (others is None or others >= mine):
            return None
        kind = FindingKind.LIFETIME if self._lifetime else FindingKind.S3_ACCESS
        if not self._lifetime and not self._exact:
            kind = FindingKind.S3_LISTING
        return Finding(
            kind=kind,
            things=(self.permission.value,),
            before="nothing" if others is None else in_words(witness.at, others),
            after=self.permission.value if not self._lifetime else in_words(witness.at, mine),
            example=Example(
                who=witness.who, at=witness.at, given=witness.given, row=(("key", self._written(witness)),)
            ),
        )

    def _written(self, witness: Witness) -> str:
        key = str(witness.row[_KEY])
        return f"s3://{self._bucket}/{key}" if self._exact else f"s3://{self._bucket}/{key}*"

    def _until(self, witness: Witness, policy: BoundPolicy) -> datetime | None:
        """Give until when the permission can be had, or None."""
        request = S3Request(
            location=S3Location(bucket=self._bucket, key=str(witness.row[_KEY])),
            exact=self._exact,
            access=frozenset({_ASKED_BY[self.permission]}),
        )
        outcome = decide_s3(policy, principal_of(witness), (request,), facts=facts_of(witness))
        if not isinstance(outcome, AwsDecision):
            return None
        if not any(self.permission in scope.permissions for scope in outcome.scopes):
            return None
        return until(witness.at, outcome.max_ttl, outcome.expires_at)


def _matching(glob: Glob) -> Term:
    text = literal_text(glob)
    if text is not None:
        return OneOf(column=_KEY, points=frozenset({text}))
    return Matches(column=_KEY, glob=glob)


def _beginning(glob: Glob) -> Term:
    """Give which texts go on to one that matches: those that match a beginning of the pattern.

    Up to its first run the pattern fixes the length; from there on every text goes on to a match.
    """
    first_run = glob.index(Wild.RUN) if Wild.RUN in glob else len(glob)
    beginnings = [glob[:length] for length in range(first_run + 1)]
    if first_run < len(glob):
        beginnings.append(glob[: first_run + 1])
    return Disjunction(operands=tuple(_matching(beginning) for beginning in beginnings))


def _ends_open(grant: S3GrantInput) -> bool:
    """Tell whether the pattern ends in `*`: then it matches all that goes on from a text that it matches."""
    return bool(grant.glob) and grant.glob[-1] is Wild.RUN
