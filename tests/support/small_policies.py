"""Small session policies, right and wrong, and everything that can be asked of them: the proof's oracle.

The requests are all those of a small world: few actions, all keys of few letters, few contexts. The letters lie below,
between and above those of the patterns, and the keys are longer than most patterns.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import product
from typing import Any

from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.outcomes import Doubt, Request
from penstock_server.credentials.proof.permits import Decided
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Location, S3Permission

from support.iam import Verdict, evaluate, holding, like
from support.s3_scopes import SSE_C

ACCOUNT, STRANGER = "111122223333", "999988887777"
END = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
ARN = "arn:aws:s3:::"
OBJECT_ACTIONS = {
    "s3:getobject": S3Permission.READ,
    "s3:putobject": S3Permission.WRITE,
    "s3:abortmultipartupload": S3Permission.WRITE,
    "s3:listmultipartuploadparts": S3Permission.WRITE,
    "s3:getobjectversion": S3Permission.VERSIONS,
    "s3:deleteobject": S3Permission.DELETE,
}
BUCKET_ACTIONS = ("s3:listbucket", "s3:listbucketversions")
ACTIONS = (*OBJECT_ACTIONS, *BUCKET_ACTIONS, "s3:getobjectacl", "s3:putbucketpolicy", "sts:assumerole")
BUCKETS = ("a", "ab", "b", "z")
KEYS = tuple("".join(letters) for size in range(4) for letters in product("*/?abz", repeat=size))
LONG_KEYS = ("a/b/a/b", "ab/zz", "a/azzz", "*/zz/a", "$/a", "$/", "$")
RESOURCES = (
    *(ARN + bucket for bucket in BUCKETS),
    *(f"{ARN}{bucket}/{key}" for bucket in BUCKETS for key in (*KEYS, *LONG_KEYS)),
    ARN,
    "*",
    "arn:aws:s3:eu-west-1:1:accesspoint/a",
    "arn:aws:iam::1:role/a",
)
EVERY_RESOURCE = (1 << len(RESOURCES)) - 1
PREFIXES = (
    *(None, "", "*", "/", "?", "a", "b", "z", "$", "a/", "ab", "az", "ab/", "a/b", "a/z", "a/bz", "a/b/", "ab/z"),
    *("b/", "b/z", "*/", "*/z", "?/", "?/z", "z/", "z/a", "a*/", "$/z", "${*}/"),
)
SCOPE_KEYS = ("", "a/", "ab/", "a/b/", "b/", "*/", "?/", "$/", "a*/", "${*}/", "a", "ab", "a/b", "*", "b?")
RESOURCE_PATTERNS = (
    "*",
    f"{ARN}*",
    f"{ARN}a",
    f"{ARN}a*",
    f"{ARN}ab",
    f"{ARN}a/*",
    f"{ARN}a/a*",
    f"{ARN}a/a/*",
    f"{ARN}a/ab/*",
    f"{ARN}a/?/*",
    f"{ARN}a/*/",
    f"{ARN}a/*b",
    f"{ARN}*/a/*",
    f"{ARN}?/a/*",
    f"{ARN}b/b/*",
    f"{ARN}a/${{*}}/*",
    f"{ARN}a/a/b*",
)
ACTION_PATTERNS = (
    *("*", "s3:*", "s3:Get*", "s3:GetObject*", "s3:?etObject", "s3:List*", "s3:ListBucket", "sts:*"),
    *("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion", "S3:LISTBUCKETVERSIONS"),
)
PREFIX_PATTERNS = ("*", "a/*", "a*", "ab/*", "?/*", "a/", "", "*/a", "b/*", "${*}/*", "a/b*")
INSTANTS = ("2026-11-24T11:59:59Z", "2026-11-24T12:00:00Z", "2026-11-24T12:00:01Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A policy text and the decision that it is to be held against."""

    text: str
    decided: Decided


def random_decided(source: random.Random) -> Decided:
    """Give a decision of one to three scopes."""
    return Decided(
        scopes=tuple(_random_scope(source) for _ in range(source.randint(1, 3))),
        account=ACCOUNT,
        ends=(END,) if source.random() < 0.3 else (),
        session_ends_by=END + timedelta(hours=1),
    )


def _random_scope(source: random.Random) -> S3Scope:
    key = source.choice(SCOPE_KEYS)
    exact = bool(key) and not key.endswith("/")
    permissions = frozenset(source.sample(sorted(S3Permission), source.randint(1, 3)))
    if exact and permissions == {S3Permission.LIST}:
        permissions = frozenset({S3Permission.READ})
    location = S3Location(bucket=source.choice(BUCKETS[:3]), key=key)
    return S3Scope(location=location, exact=exact, permissions=permissions)


def right_text(decided: Decided) -> str:
    """Give what the builder prints of a decision."""
    return print_session_policy(decided.scopes, decided.account, decided.until)


def random_case(source: random.Random) -> Case:
    """Give a policy that was right, with up to three changes, or one that never was."""
    decided = random_decided(source)
    if source.random() < 0.15:
        statements = [_random_statement(source) for _ in range(source.randint(1, 5))]
        return Case(text=_printed(statements), decided=decided)
    document = json.loads(right_text(decided))
    for _ in range(source.choice((0, 1, 1, 1, 1, 2, 3))):
        _change(document["Statement"], source)
    return Case(text=_printed(document["Statement"]), decided=decided)


def _printed(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _random_statement(source: random.Random) -> dict[str, Any]:
    effect = source.choice(("Allow", "Deny"))
    turned = effect == "Deny" and source.random() < 0.5
    statement: dict[str, Any] = {
        "Effect": effect,
        "NotAction" if turned and source.random() < 0.5 else "Action": source.sample(ACTION_PATTERNS, 2),
        "NotResource" if turned else "Resource": source.sample(RESOURCE_PATTERNS, source.randint(1, 3)),
    }
    if source.random() < 0.6:
        statement["Condition"] = _random_condition(source)
    return statement


def _random_condition(source: random.Random) -> dict[str, Any]:
    match source.randrange(5):
        case 0:
            return {
                "Null": {source.choice(("s3:prefix", "aws:ResourceAccount", SSE_C)): source.choice(("true", "false"))}
            }
        case 1:
            operator = source.choice(("StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists"))
            return {operator: {"aws:ResourceAccount": source.sample((ACCOUNT, STRANGER), source.randint(1, 2))}}
        case 2:
            operator = source.choice(("DateGreaterThanEquals", "DateGreaterThan", "DateLessThan"))
            return {operator: {"aws:CurrentTime": source.choice(INSTANTS)}}
        case _:
            operator = source.choice(("StringLike", "StringNotLike", "StringLikeIfExists", "StringNotLikeIfExists"))
            return {operator: {"s3:prefix": source.sample(PREFIX_PATTERNS, source.randint(1, 3))}}


def _change(statements: list[dict[str, Any]], source: random.Random) -> None:
    statement = source.choice(statements)
    match source.randrange(6):
        case 0:
            statements.append(_random_statement(source))
            if len(statements) > 2 and source.random() < 0.5:
                statements.remove(statement)
        case 1:
            statement.pop("Condition", None)
        case 2:
            statement["Condition"] = _random_condition(source)
        case 3:
            _change_text(statement, source)
        case 4:
            pattern, name = source.choice(
                (
                    (source.choice(RESOURCE_PATTERNS), "NotResource" if "NotResource" in statement else "Resource"),
                    (source.choice(ACTION_PATTERNS), "NotAction" if "NotAction" in statement else "Action"),
                )
            )
            statement[name] = [*source.choice(([], _many(statement[name]))), pattern]
        case _:
            other = source.choice(statements)
            for name in ("Resource", "Action"):
                if name in statement and name in other:
                    statement[name] = sorted({*_many(statement[name]), *_many(other[name])})


def _change_text(statement: dict[str, Any], source: random.Random) -> None:
    """Change a pattern a little: lose or gain a character or a wildcard."""
    name = "NotResource" if "NotResource" in statement else "Resource"
    texts = _many(statement[name])
    place = source.randrange(len(texts))
    text = texts[place]
    change = source.choice(
        (text[:-1], text[:-2] + "*", text + "*", text.replace("${*}", "*"), text.replace("/*", "*"), text + "a")
    )
    texts[place] = change if change.count("${") == change.count("}") and change else text
    # Elsewhere a `*` would have to reach from one part of an ARN into the next.
    if change.startswith(ARN):
        statement[name] = texts


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def shortcomings(case: Case) -> frozenset[Doubt]:
    """Find by brute force what is wrong with a policy in the small world."""
    statements = [_Spoken.of(statement) for statement in json.loads(case.text)["Statement"]]
    found: set[Doubt] = set()
    asked: set[tuple[object, ...]] = set()
    for context in _contexts(case):
        here = [each for each in statements if each.holds(context)]
        over = case.decided.until is not None and context["aws:CurrentTime"] >= INSTANTS[1]
        # Actions on objects are not asked again in a context that differs in the listed prefix alone.
        alike = (*map(id, here), over, context.get("aws:ResourceAccount"), SSE_C in context)
        for action in BUCKET_ACTIONS if alike in asked else ACTIONS:
            found |= _judged(case.decided, action, context, here, over=over)
        asked.add(alike)
    return frozenset(found)


def _judged(
    decided: Decided, action: str, context: Mapping[str, str], statements: list[_Spoken], *, over: bool
) -> set[Doubt]:
    allowed = denied = 0
    for each in statements:
        if action in each.actions and each.allows:
            allowed |= each.resources
        elif action in each.actions:
            denied |= each.resources
    possible = _possible(action)
    narrow = _meant(decided, action, context) & possible
    fenced = 0 if over or (action == "s3:putobject" and SSE_C in context) else narrow
    wrong = {
        Doubt.BROAD_ALLOW: allowed & possible & ~narrow,
        Doubt.NOT_FENCED: possible & ~fenced & ~denied,
        Doubt.ALLOWS_LESS: fenced & ~(allowed & ~denied),
    }
    return {doubt for doubt, resources in wrong.items() if resources}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    """What a statement speaks of in the small world, its conditions apart."""

    allows: bool
    actions: frozenset[str]
    resources: int
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def holds(self, context: Mapping[str, str]) -> bool:
        """Tell whether its conditions hold."""
        return all(_holds(operator, key, values, context.get(key)) for operator, key, values in self.conditions)

    @classmethod
    def of(cls, statement: dict[str, Any]) -> _Spoken:
        named = _many(statement.get("Action", statement.get("NotAction", [])))
        actions = {action for action in ACTIONS if any(like(pattern.lower(), action) for pattern in named)}
        resources = 0
        for pattern in _many(statement.get("Resource", statement.get("NotResource", []))):
            resources |= _matched(pattern)
        return cls(
            allows=statement["Effect"] == "Allow",
            actions=frozenset(actions if "Action" in statement else set(ACTIONS) - actions),
            resources=resources if "Resource" in statement else EVERY_RESOURCE & ~resources,
            conditions=tuple(
                (operator, key, tuple(_many(values)))
                for operator, keys in statement.get("Condition", {}).items()
                for key, values in keys.items()
            ),
        )


@lru_cache(maxsize=50_000)
def _holds(operator: str, key: str, values: tuple[str, ...], value: str | None) -> bool:
    return holding({operator: {key: list(values)}}, {} if value is None else {key: value})


@lru_cache(maxsize=20_000)
def _matched(pattern: str) -> int:
    return sum(1 << place for place, resource in enumerate(RESOURCES) if like(pattern, resource))


@lru_cache(maxsize=64)
def _possible(action: str) -> int:
    """Give the resources that AWS may name with an action."""
    named = range(len(RESOURCES))
    if action in OBJECT_ACTIONS:
        return sum(1 << place for place in named if not _is_bucket(RESOURCES[place]))
    if action in BUCKET_ACTIONS:
        return sum(1 << place for place in named if not _is_object(RESOURCES[place]))
    return EVERY_RESOURCE


def _is_object(resource: str) -> bool:
    return resource.startswith(ARN) and "/" in resource[len(ARN) :]


def _is_bucket(resource: str) -> bool:
    return resource.startswith(ARN) and "/" not in resource[len(ARN) :]


def _meant(decided: Decided, action: str, context: Mapping[str, str]) -> int:
    if context.get("aws:ResourceAccount") != decided.account:
        return 0
    meant = 0
    for scope in decided.scopes:
        bucket = f"{ARN}{scope.location.bucket}"
        here = _inside(bucket, scope.location.key, scope.exact) if action in OBJECT_ACTIONS else _named(bucket)
        # All resources of a scope are alike to an action, so that one tells for all.
        if here and _means(scope, action, RESOURCES[here.bit_length() - 1], context.get("s3:prefix")):
            meant |= here
    return meant


@lru_cache(maxsize=1_000)
def _inside(bucket: str, key: str, exact: bool) -> int:
    name = f"{bucket}/{key}"
    inside = [name == each if exact else each.startswith(name) for each in RESOURCES]
    return sum(1 << place for place, found in enumerate(inside) if found)


@lru_cache(maxsize=100)
def _named(bucket: str) -> int:
    return 1 << RESOURCES.index(bucket)


def _means(scope: S3Scope, action: str, resource: str, prefix: str | None) -> bool:
    bucket, key = f"{ARN}{scope.location.bucket}", scope.location.key
    if action in OBJECT_ACTIONS:
        if OBJECT_ACTIONS[action] not in scope.permissions:
            return False
        return resource == f"{bucket}/{key}" if scope.exact else resource.startswith(f"{bucket}/{key}")
    if action not in BUCKET_ACTIONS or scope.exact or resource != bucket or S3Permission.LIST not in scope.permissions:
        return False
    if action == "s3:listbucketversions" and S3Permission.VERSIONS not in scope.permissions:
        return False
    return not key or (prefix is not None and prefix.startswith(key))


def _contexts(case: Case) -> Iterator[dict[str, str]]:
    """Give the contexts; a key that neither side names has one value."""
    prefixes = (
        PREFIXES if "prefix" in case.text or any(scope.location.key for scope in case.decided.scopes) else (None,)
    )
    keys = (None, "AES256") if "algorithm" in case.text or "s3:PutObject" in case.text else (None,)
    instants = INSTANTS if "CurrentTime" in case.text or case.decided.until is not None else INSTANTS[:1]
    for prefix, account, key, instant in product(prefixes, (None, ACCOUNT, STRANGER), keys, instants):
        context = {"s3:prefix": prefix, "aws:ResourceAccount": account, SSE_C: key, "aws:CurrentTime": instant}
        yield {name: value for name, value in context.items() if value is not None}


def confirms(case: Case, doubt: Doubt, witness: Request) -> bool:
    """Tell whether a request shows what a refusal says, asking an evaluator that knows nothing of the proof."""
    context = {key: value for key, value in witness.context if value is not None}
    prefix, account = context.get("s3:prefix"), context.get("aws:resourceaccount")
    narrow = account == case.decided.account and any(
        _means(scope, witness.action, witness.resource, prefix) for scope in case.decided.scopes
    )
    until = case.decided.until
    closed = until is not None and datetime.fromisoformat(context["aws:currenttime"]) >= until
    locked = witness.action == "s3:putobject" and SSE_C in context
    if witness.action in OBJECT_ACTIONS and _is_bucket(witness.resource):
        return False
    if witness.action in BUCKET_ACTIONS and _is_object(witness.resource):
        return False
    verdict = evaluate(case.text, action=witness.action, resource=witness.resource, context=context)
    allowed_alone = evaluate(
        _without_denials(case.text), action=witness.action, resource=witness.resource, context=context
    )
    match doubt:
        case Doubt.ALLOWS_MORE:
            return verdict is Verdict.ALLOWED and (not narrow or closed or locked)
        case Doubt.BROAD_ALLOW:
            return allowed_alone is Verdict.ALLOWED and not narrow
        case Doubt.NOT_FENCED:
            return verdict is not Verdict.EXPLICITLY_DENIED and (not narrow or closed or locked)
        case Doubt.ALLOWS_LESS:
            return verdict is not Verdict.ALLOWED and narrow and not closed and not locked
        case _:
            return False


@lru_cache(maxsize=16)
def _without_denials(text: str) -> str:
    return _printed([statement for statement in json.loads(text)["Statement"] if statement["Effect"] == "Allow"])
