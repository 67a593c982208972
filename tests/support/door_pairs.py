"""Random pairs of grants of credentials, held against the serving evaluator on all small requests."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from penstock_server.model.decision import Access, AwsDecision, RedshiftDecision
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.resources import S3Request, decide_redshift, decide_s3

from support.policies import NOW, bind_policy, principal

BUCKET = "acme-lake"
ENDS = (None, NOW + timedelta(hours=2), NOW + timedelta(minutes=20))
_TTLS = (None, "15m", "30m", "1h")
_SELECTORS = ("everyone", "group:g1", "group:g2", "user:alice")
_KEYS = [
    *("".join(letters) for size in range(1, 4) for letters in itertools.product("a/b", repeat=size)),
    *("a/a/", "a/b/", "b/a/", "aa/b", "a/aa", "bbbb", "a/b/a"),
]
_FAR = datetime.max.replace(tzinfo=NOW.tzinfo)


@dataclass(frozen=True, kw_only=True)
class Given:
    """What one version gives: permissions (or groups and `login`) with the instant at which they end."""

    until: dict[str, datetime]


def random_doors(seed: str) -> tuple[str, str]:
    """Give two policy files with grants of credentials, the second mostly an edit of the first."""
    random = Random(seed)
    old = [_grant(random, number) for number in range(random.randint(1, 3))]
    new = [_edited(random, grant) for grant in old] if random.random() < 0.85 else [_grant(random, 0)]
    if random.random() < 0.2:
        new.append(_grant(random, 9))
    denials = [_denial(random) for _ in range(random.choice([0, 0, 1, 2]))]
    kept = denials if random.random() < 0.6 else denials[1:]
    return _text(old, denials), _text(new, kept)


def _text(grants: list[dict[str, Any]], denials: list[dict[str, Any]]) -> str:
    text: dict[str, Any] = {"version": 1, "grants": grants}
    if denials:
        text["denials"] = denials
    return json.dumps(text)


def _grant(random: Random, number: int) -> dict[str, Any]:
    is_login = random.random() < 0.35
    grant: dict[str, Any] = {
        "name": f"g{number}",
        "principals": random.sample(_SELECTORS, random.randint(1, 2)),
        "resource": "redshift:analytics" if is_login else f"arn:aws:s3:::{BUCKET}/{_pattern(random)}",
        "permissions": ["CONNECT"] if is_login else _permissions(random),
    }
    if is_login and random.random() < 0.7:
        grant["database_groups"] = random.sample(["bi", "etl"], random.randint(1, 2))
    ttl, end = random.choice(_TTLS), random.choice([None, None, *ENDS])
    if ttl is not None:
        grant["max_ttl"] = ttl
    if end is not None:
        grant["expires"] = end.isoformat()
    return grant


def _permissions(random: Random) -> list[str]:
    return random.sample(["READ", "LIST", "WRITE", "VERSIONS", "DELETE"], random.randint(1, 3))


def _pattern(random: Random) -> str:
    pattern = "".join(random.choice(["a", "a/", "b", "/", "*", "?", "*"]) for _ in range(random.randint(1, 4)))
    return pattern if random.random() < 0.4 else f"{pattern}*"


def _denial(random: Random) -> dict[str, Any]:
    is_login = random.random() < 0.3
    return {
        "resource": "redshift:analytics" if is_login else f"arn:aws:s3:::{BUCKET}/{_pattern(random)}",
        "permissions": ["CONNECT"] if is_login else _permissions(random),
        "except_principals": random.sample(_SELECTORS[1:], 1),
    }


def _edited(random: Random, grant: dict[str, Any]) -> dict[str, Any]:
    edited = dict(grant)
    match random.choice(["same", "same", "principals", "resource", "permissions", "ttl", "expires", "groups"]):
        case "principals":
            edited["principals"] = random.sample(_SELECTORS, random.randint(1, 2))
        case "resource" if grant["resource"].startswith("arn"):
            edited["resource"] = f"arn:aws:s3:::{BUCKET}/{_pattern(random)}"
        case "permissions" if grant["resource"].startswith("arn"):
            edited["permissions"] = _permissions(random)
        case "ttl":
            edited["max_ttl"] = random.choice(_TTLS[1:])
        case "expires":
            edited["expires"] = random.choice(ENDS[1:]).isoformat()
        case "groups" if grant["resource"].startswith("redshift"):
            edited["database_groups"] = random.sample(["bi", "etl"], 1)
        case _:
            pass
    return edited


def bind_doors(text: str, folder: Path) -> BoundPolicy:
    """Bind a policy file that has grants of credentials only."""
    return bind_policy(folder, text, logins=["analytics"])


def more_is_given(old: BoundPolicy, new: BoundPolicy, *, what: str) -> str:
    """Say what the new policy gives to somebody and the old one does not, "" if nothing; `what` is `s3` or `login`."""
    for who, at in itertools.product(_people(), (NOW, NOW + timedelta(minutes=30), NOW + timedelta(hours=3))):
        for request in _requests() if what == "s3" else [None]:
            before, after = _given(old, who, request, at), _given(new, who, request, at)
            for name, until in after.until.items():
                if before.until.get(name, at) < until:
                    return f"{name} until {until}, before {before.until.get(name)}: {who.groups} {request} at {at}"
    return ""


def _people() -> Iterator[Principal]:
    for name, groups in itertools.product((None, "alice"), ((), ("g1",), ("g2",), ("g1", "g2"))):
        yield principal(name, groups=groups)


def _requests() -> Iterator[S3Request]:
    for key in ("", *_KEYS):
        for exact, access in ((True, Access.READ), (True, Access.WRITE), *((False, access) for access in Access)):
            if (exact and key) or (not exact and (not key or key.endswith("/"))):
                location = S3Location(bucket=BUCKET, key=key)
                yield S3Request(location=location, exact=exact, access=frozenset({access}))


def _given(policy: BoundPolicy, who: Principal, request: S3Request | None, at: datetime) -> Given:
    facts = RequestFacts.of_instant(at)
    if request is None:
        login = decide_redshift(policy, who, "analytics", facts=facts)
        if not isinstance(login, RedshiftDecision):
            return Given(until={})
        end = _end(at, login.max_ttl, login.expires_at)
        return Given(until=dict.fromkeys(("login", *login.database_groups), end))
    outcome = decide_s3(policy, who, (request,), facts=facts)
    if not isinstance(outcome, AwsDecision):
        return Given(until={})
    end = _end(at, outcome.max_ttl, outcome.expires_at)
    return Given(until={permission.value: end for scope in outcome.scopes for permission in scope.permissions})


def _end(at: datetime, max_ttl: timedelta | None, expires: datetime | None) -> datetime:
    return min(_FAR if max_ttl is None else at + max_ttl, expires or _FAR)
