"""How long the proof of a session policy takes, in processor milliseconds, right and wrong and hopeless ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.outcomes import ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.proof.steps import Steps
from penstock_server.credentials.session_policy import MAX_CHARS
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Location, S3Permission
from support.s3_scopes import random_scopes

ACCOUNT = "111122223333"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
READ_LIST = frozenset({S3Permission.READ, S3Permission.LIST})
Case = tuple[str, Decided]


def decided(scopes: Sequence[S3Scope]) -> Decided:
    return Decided(scopes=tuple(scopes), account=ACCOUNT, ends=(NOW,), session_ends_by=NOW + timedelta(hours=1))


def case(scopes: Sequence[S3Scope]) -> Case:
    return print_session_policy(tuple(scopes), ACCOUNT, NOW), decided(scopes)


def prefixes(random: Random, count: int, *, alike: bool) -> list[S3Scope]:
    """Give prefixes of some 18 characters; each with permissions of its own unless `alike`."""
    return [
        S3Scope(
            location=S3Location(bucket="acme-lake", key=f"team-{random.randrange(10**6):06}/{number:05}/"),
            exact=False,
            permissions=READ_LIST if alike else frozenset(random.sample(sorted(S3Permission), random.randint(1, 3))),
        )
        for number in range(count)
    ]


def filled(random: Random, *, alike: bool) -> Case:
    """Give a policy that the next prefix would make too long."""
    scopes = prefixes(random, 60, alike=alike)
    count = next(count for count in range(60, 0, -1) if len(case(scopes[:count])[0]) <= MAX_CHARS)
    return case(scopes[:count])


def hostile(random: Random) -> Case:
    while True:
        found = case(random_scopes(random, most=6))
        if len(found[0]) <= MAX_CHARS:
            return found


def wrong(random: Random) -> Case:
    """Give the policy of a whole bucket instead of a prefix."""
    text, what = case(prefixes(random, 3, alike=True))
    return text.replace("/*", "*", 1), what


def hopeless(random: Random) -> Case:
    """Give a policy full of wildcards."""
    text, what = case(prefixes(random, 2, alike=True))
    room = MAX_CHARS - len(text)
    bomb = "".join(random.choice(("*", "?", "*a", "b", "/", "*?c")) for _ in range(room))[: room - 1]
    return text.replace("arn:aws:s3:::acme-lake/", f"arn:aws:s3:::{bomb}*", 1), what


def bombs(random: Random) -> Case:
    """Give a policy of many small patterns full of wildcards."""
    text, what = case(prefixes(random, 1, alike=True))
    patterns: list[str] = []
    while len(text) + sum(map(len, patterns)) + 4 * len(patterns) < MAX_CHARS - 60:
        patterns.append("*" + "*".join(random.choice("abcdefgh") + random.choice("abcdefgh?") for _ in range(5)) + "*")
    listed = ",".join(f'"{pattern}"' for pattern in patterns)
    return text.replace('"NotResource":[', f'"NotResource":[{listed},', 1), what


def long_names(random: Random) -> Case:
    """Give a policy of wildcards for a decision of twenty long names."""
    names = ["".join(random.choice("abcdefgh/") for _ in range(1_000)) for _ in range(20)]
    scopes = [
        S3Scope(location=S3Location(bucket="acme-lake", key=f"{name}/"), exact=False, permissions=READ_LIST)
        for name in names
    ]
    return case(prefixes(random, 1, alike=True))[0].replace("/team-", "/*a*b?", 1), decided(scopes)


KINDS = (
    ("3 prefixes", lambda random: case(prefixes(random, 3, alike=True)), 600),
    ("2,048 characters, permissions alike", lambda random: filled(random, alike=True), 300),
    ("2,048 characters, each its own permissions", lambda random: filled(random, alike=False), 300),
    ("hostile names", hostile, 600),
    ("wrong, with its witness", wrong, 300),
    ("one long pattern of wildcards", hopeless, 100),
    ("many patterns of wildcards", bombs, 100),
    ("wildcards, and long names decided", long_names, 100),
)


def measured(cases: Iterator[Case]) -> Iterator[tuple[float, int, bool]]:
    for text, what in cases:
        steps = Steps()
        began = time.process_time()
        proved = isinstance(prove(text, what, steps=steps), ProvedPolicy)
        yield (time.process_time() - began) * 1_000, steps.spent, proved


def main() -> None:
    print(f"{'session policies':<44}{'median':>8}{'p99':>8}{'max ms':>8}{'steps':>8}{'proved':>9}")
    for name, make, count in KINDS:
        random = Random(20261124)
        found = list(measured(make(random) for _ in range(count)))
        times = sorted(milliseconds for milliseconds, _, _ in found)
        proved = sum(each for _, _, each in found)
        print(
            f"{name:<44}{times[len(times) // 2]:>8.2f}{times[len(times) * 99 // 100]:>8.2f}{times[-1]:>8.2f}"
            f"{max(steps for _, steps, _ in found):>8}{proved:>5}/{count}"
        )


if __name__ == "__main__":
    main()
