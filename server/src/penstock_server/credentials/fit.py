"""Prints the session policy of some scopes, if it fits.

A policy is never cut, and never widened to fit: no pattern of IAM is exactly several prefixes, so that nothing is
factored but what lies within something else. What does not fit is refused, with what to leave out; a request is split
by the caller alone, who then holds several sessions and knows it.

AWS: managed session policies are no way round the limit. They are pooled with the inline one, and widen it.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from penstock_server.credentials.scopes import dynamodb, named_resources, s3
from penstock_server.credentials.scopes.services import reaches_of
from penstock_server.credentials.session_policy import MAX_CHARS, print_policy
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.decision import S3Scope
from penstock_server.model.dynamodb import DynamoDbScope
from penstock_server.model.services import ServiceScope

log = logging.getLogger(__name__)

NEARLY_PACKED_PERCENT = 80

Scope = S3Scope | DynamoDbScope | ServiceScope

SessionPolicyPrinter = Callable[[tuple[Scope, ...], str, datetime | None], str]
"""Gives the text of a session policy for scopes, the account that owns them, and the instant that closes it."""


def print_session_policy(scopes: tuple[Scope, ...], account: str, ends_at: datetime | None) -> str:
    """Print the session policy of these scopes."""
    files = tuple(scope for scope in scopes if isinstance(scope, S3Scope))
    items = tuple(scope for scope in scopes if isinstance(scope, DynamoDbScope))
    named = reaches_of(scope for scope in scopes if isinstance(scope, ServiceScope))
    if not items and not named:
        return print_policy(s3.statements(files, account=account, ends_at=ends_at))
    if not files and not named:
        return print_policy(dynamodb.statements(items, account=account, ends_at=ends_at, beside_others=False))
    of_items, of_named = dynamodb.all_actions(items), named_resources.actions_of(named)
    if files:
        on_all = s3.statements(files, account=account, ends_at=ends_at, others=of_items, unowned=of_named)
    else:
        on_all = named_resources.whole_session(named, others=of_items, account=account, ends_at=ends_at)
    on_items = dynamodb.statements(items, account=account, ends_at=ends_at, beside_others=True) if items else ()
    on_named = named_resources.statements(named, others=(*s3.all_actions(files), *of_items))
    return print_policy((*on_all, *on_items, *on_named))


def arn_of(scope: Scope) -> str:
    """Give the ARN of a scope as a caller would write it."""
    return s3.arn_of(scope) if isinstance(scope, S3Scope) else str(scope.target)


def fit(scopes: tuple[Scope, ...], account: str, ends_at: datetime | None, *, printer: SessionPolicyPrinter) -> str:
    """Print the session policy of these scopes.

    Raises:
        LimitExceeded: `SESSION_POLICY_TOO_LARGE`; the hint names what to leave out, or what is too long by itself.
    """
    text = printer(scopes, account, ends_at)
    if len(text) <= MAX_CHARS:
        return text

    def size(some: tuple[Scope, ...]) -> int:
        return len(printer(some, account, ends_at))

    raise LimitExceeded(
        Reason.SESSION_POLICY_TOO_LARGE,
        f"the session policy for these resources needs {len(text)} of {MAX_CHARS} characters",
        limit="session policy",
        value=f"{MAX_CHARS} characters",
        hint=_what_to_do(scopes, size),
    )


def packed_too_large(error: LimitExceeded, scopes: tuple[Scope, ...]) -> LimitExceeded:
    """Give AWS's refusal of a policy that fits its characters and not its packed size, with what to leave out.

    Only AWS knows the packed size, so that half of the resources is named: those with the longest names.
    """
    by_length = sorted(set(scopes), key=lambda scope: (len(arn_of(scope)), arn_of(scope)))
    apart = by_length[(len(by_length) + 1) // 2 :]
    hint = (
        f"leave out {_named(apart)}, and ask for that in a request of its own" if apart else "ask for a shorter prefix"
    )
    return LimitExceeded(
        error.reason, error.message, limit=error.limit, value=error.value, hint=hint, detail=error.detail
    )


def note_packed_size(percent: int | None, *, request_id: str) -> None:
    """Warn of a session that nearly filled AWS's packed size; longer names, or more tags, would be refused."""
    if percent is not None and percent >= NEARLY_PACKED_PERCENT:
        log.warning(
            "a session policy nearly fills its packed size", extra={"request_id": request_id, "percent": percent}
        )


def _what_to_do(scopes: tuple[Scope, ...], size: Callable[[tuple[Scope, ...]], int]) -> str:
    too_long = [scope for scope in scopes if size((scope,)) > MAX_CHARS]
    if too_long:
        return f"no session can hold {_named(too_long)}: ask for a shorter prefix"
    # Those names come first that take the most room; each policy that the search prints costs about a millisecond.
    room: dict[str, int] = defaultdict(int)
    for scope in scopes:
        room[arn_of(scope)] += _room(scope, scopes)
    names = sorted(room, key=lambda name: (-room[name], name))

    def fits(count: int) -> bool:
        left_out = set(names[:count])
        return size(tuple(scope for scope in scopes if arn_of(scope) not in left_out)) <= MAX_CHARS

    first = bisect_left(range(len(names)), True, key=fits)
    # Without a scope, what lies within it must be named itself, so that more may have to go.
    needed = next((count for count in range(first, len(names)) if fits(count)), len(names))
    if needed == len(names):
        return f"no session can hold {_named(list(scopes))}: ask for shorter prefixes, or for one access at a time"
    apart = ", ".join(f"`{name}`" for name in sorted(names[:needed]))
    return f"leave out {apart}, and ask for that in a request of its own"


def _room(scope: Scope, scopes: tuple[Scope, ...]) -> int:
    """Give about how many characters a scope takes, without what it shares with others: none within another one."""
    if isinstance(scope, DynamoDbScope):
        values = (*(scope.leading_keys or ()), *(scope.attributes or ()))
        return 2 * (len(arn_of(scope)) + sum(map(len, values)))
    if isinstance(scope, ServiceScope):
        return 2 * (len(arn_of(scope)) + sum(len(value) for limit in scope.limits for value in limit.values))
    within_another = any(
        isinstance(other, S3Scope)
        and other != scope
        and not other.exact
        and other.location.bucket == scope.location.bucket
        and scope.location.key.startswith(other.location.key)
        and scope.permissions <= other.permissions
        for other in scopes
    )
    return 0 if within_another else len(arn_of(scope)) * (1 + len(scope.permissions))


def _named(scopes: list[Scope]) -> str:
    return ", ".join(sorted({f"`{arn_of(scope)}`" for scope in scopes}))
