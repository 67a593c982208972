"""Grants of credentials: buckets and Redshift logins."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from penstock_server.policy.proof.budget import DEFAULT_BUDGET, Budget
from penstock_server.policy.proof.findings import Narrowing, Same, SubjectKind, Undecided, Widening
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.wording import Wording, verdict_word
from support.door_pairs import bind_doors, more_is_given, random_doors
from support.policies import ISSUER, NOW
from support.proof_checks import EXACT, LAZY

_READ = '{{name: {}, principals: ["group:fin"], resource: "arn:aws:s3:::acme-lake/{}", permissions: [{}]{}}}'


def _policy(*grants: str, denials: str = "") -> str:
    return "\n".join(["version: 1", "grants:", *(f"  - {grant}" for grant in grants), denials])


def _read(key: str, permissions: str = "READ, LIST", more: str = "", *, name: str = "g") -> str:
    return _READ.format(name, key, permissions, more)


def _plan(old: str, new: str, folder: Path) -> tuple[str, list[str]]:
    plan = compare(bind_doors(old, folder), bind_doors(new, folder), at=NOW, budget=DEFAULT_BUDGET)
    if not plan.subjects:
        return "SAME", []
    (subject,) = plan.subjects
    wording = Wording(default_issuer=ISSUER, since=NOW)
    match subject.verdict:
        case Widening(gains=gains):
            sentences = [wording.gain(finding, subject) for finding in gains]
        case Narrowing(losses=losses):
            sentences = [wording.loss(finding, subject) for finding in losses]
        case _:
            sentences = []
    return verdict_word(subject.verdict), sentences


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (_policy(_read("finance/*")), _policy(_read("finance/*", name="other"))),
        (
            _policy(_read("finance/*"), _read("sales/*", name="h")),
            _policy(_read("sales/*", name="h"), _read("finance/*")),
        ),
        (_policy(_read("f*")), _policy(_read("f*"), _read("finance/*", name="h"))),
        (_policy(_read("a?*")), _policy(_read("a*?"))),
        (_policy(_read("a/**")), _policy(_read("a/*"))),
        (_policy(_read("${*}x/*")), _policy(_read("${*}x/*"))),
    ],
)
def test_grants_that_mean_the_same_are_the_same(old: str, new: str, tmp_path: Path) -> None:
    assert _plan(old, new, tmp_path) == ("SAME", [])


def test_a_shorter_prefix_is_wider(tmp_path: Path) -> None:
    verdict, sentences = _plan(_policy(_read("finance/*")), _policy(_read("finance*")), tmp_path)
    assert verdict == "WIDENING"
    assert sentences == [
        "somebody in group:fin would newly get READ on s3://acme-lake/finance",
        "somebody in group:fin would newly get READ on all of s3://acme-lake/financea/*",
        "somebody in group:fin would newly get LIST on all of s3://acme-lake/financea/*",
    ]


def test_a_star_in_the_middle_reaches_across_slashes(tmp_path: Path) -> None:
    verdict, _ = _plan(_policy(_read("a/?/x", "READ")), _policy(_read("a/*/x", "READ")), tmp_path)
    assert verdict == "WIDENING"
    assert _plan(_policy(_read("a/*/x", "READ")), _policy(_read("a/?/x", "READ")), tmp_path)[0] == "NARROWING"


def test_escaped_wildcards_are_characters(tmp_path: Path) -> None:
    verdict, sentences = _plan(_policy(_read("${*}", "READ")), _policy(_read("*", "READ")), tmp_path)
    assert verdict == "WIDENING"
    assert sentences[0].startswith("somebody in group:fin would newly get READ on s3://acme-lake/")
    assert _plan(_policy(_read("*", "READ")), _policy(_read("${*}", "READ")), tmp_path)[0] == "NARROWING"


def test_older_versions_come_with_reading_only(tmp_path: Path) -> None:
    old = _policy(_read("a/*", "READ"))
    assert _plan(old, _policy(_read("a/*", "READ, VERSIONS")), tmp_path)[1] == [
        "somebody in group:fin would newly get VERSIONS on s3://acme-lake/a/",
        "somebody in group:fin would newly get VERSIONS on all of s3://acme-lake/a/*",
    ]
    assert _plan(old, _policy(_read("a/*", "READ"), _read("b/*", "VERSIONS", name="h")), tmp_path)[0] == "SAME"


def test_credentials_that_last_longer_are_wider(tmp_path: Path) -> None:
    old = _policy(_read("a/*", "READ", ", max_ttl: 30m"))
    verdict, sentences = _plan(old, _policy(_read("a/*", "READ", ", max_ttl: 2h")), tmp_path)
    assert (verdict, sentences) == (
        "WIDENING",
        [
            "somebody in group:fin would get credentials for READ on s3://acme-lake/a/ that last at most 2 h 00 min "
            "instead of at most 30 min"
        ],
    )
    assert _plan(_policy(_read("a/*", "READ")), old, tmp_path)[0] == "NARROWING"


def test_what_shortened_a_credential_is_missed_when_it_goes(tmp_path: Path) -> None:
    # VERSIONS comes along with READ where it is granted, and its grant bounds the credential.
    short = _read("a/*", "VERSIONS", ", max_ttl: 15m", name="h")
    verdict, sentences = _plan(_policy(_read("a/*", "READ"), short), _policy(_read("a/*", "READ")), tmp_path)
    assert verdict == "WIDENING"
    assert "that last no bound by the policy instead of at most 15 min" in sentences[0]


def test_a_denial_that_goes_is_wider(tmp_path: Path) -> None:
    resource = "arn:aws:s3:::acme-lake/a/secret*"
    denial = f'denials: [{{resource: "{resource}", permissions: [READ], except_principals: ["user:bob"]}}]'
    old, new = _policy(_read("a/*", "READ"), denials=denial), _policy(_read("a/*", "READ"))
    verdict, sentences = _plan(old, new, tmp_path)
    assert verdict == "WIDENING"
    assert sentences == [
        "somebody in group:fin would newly get READ on s3://acme-lake/a/secret",
        "somebody in group:fin would newly get READ on all of s3://acme-lake/a/*",
    ]
    assert _plan(new, old, tmp_path)[0] == "NARROWING"


_LOGIN = '{{name: {}, principals: ["{}"], resource: "redshift:analytics", permissions: [CONNECT]{}}}'


def test_a_login_and_its_database_groups(tmp_path: Path) -> None:
    old = _policy(_LOGIN.format("a", "group:fin", ", database_groups: [bi]"))
    more = _policy(
        _LOGIN.format("a", "group:fin", ", database_groups: [bi]"),
        _LOGIN.format("b", "user:bob", ", database_groups: [etl], max_ttl: 15m"),
    )
    assert _plan(old, more, tmp_path) == (
        "WIDENING",
        ["bob would newly get the login", "bob would newly be in the database group etl"],
    )
    assert _plan(more, old, tmp_path)[0] == "WIDENING"  # bob in fin is no longer held to 15 minutes
    assert _plan(old, _policy(_LOGIN.format("a", "group:fin", "")), tmp_path) == (
        "NARROWING",
        ["somebody in group:fin would no longer be in the database group bi"],
    )


@pytest.mark.parametrize(
    ("budget", "seed"),
    [
        pytest.param(EXACT, "doors", id="exact", marks=pytest.mark.slow),
        pytest.param(LAZY, "free doors", id="free patterns"),
    ],
)
def test_no_verdict_on_credentials_is_narrower_than_all_small_requests(
    budget: Budget, seed: str, tmp_path: Path
) -> None:
    _check_random(seed, 40, tmp_path, budget)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("budget", [pytest.param(EXACT, id="exact"), pytest.param(LAZY, id="free patterns")])
def test_no_verdict_of_many_on_credentials_is_narrower(budget: Budget, tmp_path: Path) -> None:
    _check_random("many doors", 2_000, tmp_path, budget)


def _check_random(seed: str, count: int, folder: Path, budget: Budget) -> None:
    verdicts: Counter[str] = Counter()
    for number in range(count):
        old, new = (bind_doors(text, folder) for text in random_doors(f"{seed}-{number}"))
        plan = compare(old, new, at=NOW, budget=budget)
        by_kind = {subject.kind: subject.verdict for subject in plan.subjects}
        for kind, what in ((SubjectKind.BUCKET, "s3"), (SubjectKind.LOGIN, "login")):
            verdict = by_kind.get(kind, Same())
            verdicts[type(verdict).__name__] += 1
            assert not isinstance(verdict, Undecided), (seed, number, verdict)
            if not isinstance(verdict, Widening):
                assert more_is_given(old, new, what=what) == "", (seed, number)
            if isinstance(verdict, Same):
                assert more_is_given(new, old, what=what) == "", (seed, number)
    assert min(verdicts[name] for name in ("Same", "Narrowing", "Widening")) > count // 20
