"""All requests there can be, cut so finely that statements and permits are boxes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from penstock_server.credentials.proof.boxes import Box
from penstock_server.credentials.proof.domains import InstantDomain, ResourceDomain, TextDomain
from penstock_server.credentials.proof.elements import ElementsDomain
from penstock_server.credentials.proof.keys import CURRENT_TIME, RESOURCE_ACCOUNT, KeyKind, kind_of
from penstock_server.credentials.proof.outcomes import Request
from penstock_server.credentials.proof.patterns import Pattern, text_of
from penstock_server.credentials.proof.permits import ON_BUCKETS, ON_OBJECTS, Permit
from penstock_server.credentials.proof.reading import Condition, KeyTest, Statement
from penstock_server.credentials.proof.steps import Steps

_OBJECT_ACTIONS: Final = frozenset(action for actions in ON_OBJECTS.values() for action in actions)
_TELLING_ACTIONS: Final = ("s3:putobject", "s3:getobject", "s3:deleteobjectversion", "s3:listbucket", "sts:assumerole")
_TELLING_RESOURCES: Final = ("arn:aws:s3:::another-bucket/key", "arn:aws:s3:::another-bucket", "*")
_TRUTHS: Final = (text_of("true"), text_of("false"))


class Space:
    """The requests that the texts and instants of some statements and permits tell apart.

    `impossible` are boxes of requests that AWS never has: an action on objects names the ARN of an object, one on
    buckets that of a bucket; a key that is true or false has no other value.
    """

    def __init__(self, statements: Sequence[Statement], permits: Sequence[Permit], steps: Steps) -> None:
        self._actions = TextDomain(
            {
                *(pattern for statement in statements for pattern in statement.actions),
                *map(text_of, _OBJECT_ACTIONS | ON_BUCKETS),
                *(text_of(action) for permit in permits for action in permit.actions),
            },
            steps,
            optional=False,
        )
        self._resources = ResourceDomain(
            {
                *(pattern for statement in statements for pattern in statement.resources),
                *(permit.resource for permit in permits),
            },
            steps,
        )
        self._owners = [pattern.head for permit in permits for key, pattern in permit.within if key == RESOURCE_ACCOUNT]
        self._texts, self._instants = _key_domains(statements, permits, steps)
        self._elements = _element_domains(statements, permits, steps)
        self._places = {key: place for place, key in enumerate((*self._texts, *self._elements, CURRENT_TIME), 2)}
        texts = (domain.every for domain in self._texts.values())
        keys = (*texts, *(domain.every for domain in self._elements.values()))
        self.every: Box = (self._actions.every, self._resources.every, *keys, self._instants.every)
        self.impossible: tuple[Box, ...] = (
            self._on(_OBJECT_ACTIONS, self._resources.buckets),
            self._on(ON_BUCKETS, self._resources.objects),
            *(self._neither(key) for key in self._texts if kind_of(key) is KeyKind.TRUTH),
        )

    def statement(self, statement: Statement) -> Box:
        """Give the requests that a statement speaks of."""
        actions = self._actions.matching(statement.actions)
        resources = self._resources.matching(statement.resources)
        box = list(self.every)
        box[0] = self._actions.every & ~actions if statement.other_actions else actions
        box[1] = self._resources.every & ~resources if statement.other_resources else resources
        for condition in statement.conditions:
            box[self._places[condition.key]] &= self._holding(condition)
        return tuple(box)

    def permit(self, permit: Permit, *, fenced: bool) -> Box:
        """Give the requests of a permit; with `fenced` those alone that the fence leaves."""
        box = list(self._on(permit.actions, self._resources.matching((permit.resource,))))
        for key, pattern in permit.within:
            box[self._places[key]] &= self._texts[key].matching((pattern,))
        for key, pattern in permit.if_there:
            domain = self._texts[key]
            box[self._places[key]] &= domain.absent | domain.matching((pattern,))
        for key, some in permit.among:
            box[self._places[key]] &= self._elements[key].among(some)
        if fenced:
            for key in permit.without:
                box[self._places[key]] &= self._texts[key].absent
            if permit.until is not None:
                box[self._places[CURRENT_TIME]] &= self._instants.before(permit.until)
        return tuple(box)

    def witness(self, box: Box) -> Request:
        """Give a request of a box that is not empty, one that reads well if there is one."""
        context = [
            (key, _telling(domain, box[self._places[key]], self._owners if key == RESOURCE_ACCOUNT else ()))
            for key, domain in self._texts.items()
        ]
        context.extend((key, domain.sample(_lowest(box[self._places[key]]))) for key, domain in self._elements.items())
        context.append((CURRENT_TIME, self._instants.sample(_lowest(box[self._places[CURRENT_TIME]]))))
        return Request(
            action=_telling(self._actions, box[0], _TELLING_ACTIONS) or "",
            resource=_telling(self._resources, box[1], _TELLING_RESOURCES) or "",
            context=tuple(context),
        )

    def _on(self, actions: Iterable[str], resources: int) -> Box:
        return (self._actions.matching(map(text_of, actions)), resources, *self.every[2:])

    def _neither(self, key: str) -> Box:
        domain = self._texts[key]
        box = list(self.every)
        box[self._places[key]] = domain.present & ~domain.matching(_TRUTHS)
        return tuple(box)

    def _holding(self, condition: Condition) -> int:
        if condition.key == CURRENT_TIME:
            return self._holding_when(condition.test, condition.instants[0])
        if condition.key in self._elements:
            return self._holding_all(self._elements[condition.key], condition)
        domain = self._texts[condition.key]
        match condition.test:
            case KeyTest.ABSENT:
                return domain.absent
            case KeyTest.PRESENT:
                return domain.present
            case KeyTest.MATCHES:
                return domain.matching(condition.patterns)
            case KeyTest.MATCHES_IF_THERE:
                return domain.absent | domain.matching(condition.patterns)
            case KeyTest.MATCHES_NONE:
                return domain.every & ~domain.matching(condition.patterns)
            case _:
                raise AssertionError(condition)

    def _holding_all(self, domain: ElementsDomain, condition: Condition) -> int:
        match condition.test:
            case KeyTest.ABSENT:
                return domain.absent
            case KeyTest.PRESENT:
                return domain.present
            case KeyTest.ALL_AMONG:
                # AWS: true of a request that has no such key.
                return domain.absent | domain.among(_texts_of(condition))
            case KeyTest.SOME_OUTSIDE:
                return domain.present & ~domain.among(_texts_of(condition))
            case _:
                raise AssertionError(condition)

    def _holding_when(self, test: KeyTest, instant: datetime) -> int:
        domain = self._instants
        match test:
            case KeyTest.BEFORE:
                return domain.before(instant)
            case KeyTest.UNTIL:
                return domain.until(instant)
            case KeyTest.AFTER:
                return domain.every & ~domain.until(instant)
            case KeyTest.SINCE:
                return domain.every & ~domain.before(instant)
            case _:
                raise AssertionError(test)


def _key_domains(
    statements: Sequence[Statement], permits: Sequence[Permit], steps: Steps
) -> tuple[dict[str, TextDomain], InstantDomain]:
    texts: dict[str, set[Pattern]] = {}
    instants: set[datetime] = set()
    for statement in statements:
        for condition in statement.conditions:
            if kind_of(condition.key) in (KeyKind.TEXT, KeyKind.TRUTH):
                texts.setdefault(condition.key, set()).update(condition.patterns)
            instants.update(condition.instants)
    for permit in permits:
        for key, pattern in (*permit.within, *permit.if_there):
            texts.setdefault(key, set()).add(pattern)
        for key in permit.without:
            texts.setdefault(key, set())
        if permit.until is not None:
            instants.add(permit.until)
    for key, patterns in texts.items():
        if kind_of(key) is KeyKind.TRUTH:
            patterns.update(_TRUTHS)
    domains = {key: TextDomain(texts[key], steps, optional=True) for key in sorted(texts)}
    return domains, InstantDomain(instants)


def _element_domains(
    statements: Sequence[Statement], permits: Sequence[Permit], steps: Steps
) -> dict[str, ElementsDomain]:
    lists: dict[str, set[frozenset[str]]] = {}
    for statement in statements:
        for condition in statement.conditions:
            if kind_of(condition.key) is KeyKind.ELEMENTS:
                named = lists.setdefault(condition.key, set())
                if condition.patterns:
                    named.add(_texts_of(condition))
    for permit in permits:
        for key, some in permit.among:
            lists.setdefault(key, set()).add(some)
    return {key: ElementsDomain(lists[key], steps) for key in sorted(lists)}


def _texts_of(condition: Condition) -> frozenset[str]:
    return frozenset(pattern.head for pattern in condition.patterns)


def _telling(domain: TextDomain, values: int, candidates: Iterable[str]) -> str | None:
    """Give the first candidate that is one of the values, else any of them."""
    for candidate in candidates:
        if values >> domain.place_of(candidate) & 1:
            return candidate
    return domain.sample(_lowest(values))


def _lowest(values: int) -> int:
    return (values & -values).bit_length() - 1
