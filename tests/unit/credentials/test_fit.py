"""What does not fit a session policy is refused with what to leave out, and nothing is ever widened."""

from __future__ import annotations

import random
import re
from datetime import datetime

import pytest
from penstock_server.credentials.fit import Scope, fit, print_session_policy
from penstock_server.credentials.scopes.s3 import arn_of
from penstock_server.credentials.session_policy import MAX_CHARS
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Permission
from support.iam import Verdict, evaluate
from support.s3_scopes import ACCOUNT, Probe, random_scopes
from support.weak_builders import scope


def fitted(*scopes: S3Scope) -> str:
    return fit(scopes, ACCOUNT, None, printer=print_session_policy)


def refused(*scopes: S3Scope) -> tuple[LimitExceeded, set[str]]:
    with pytest.raises(LimitExceeded) as failed:
        fitted(*scopes)
    assert failed.value.reason is Reason.SESSION_POLICY_TOO_LARGE
    return failed.value, set(re.findall(r"`([^`]*)`", failed.value.hint))


def test_what_fits_is_printed_as_it_is() -> None:
    scopes = (scope("finance/"), scope("hr/"))
    assert fitted(*scopes) == print_session_policy(scopes, ACCOUNT, None)


def test_nine_prefixes_of_twenty_characters_are_read_and_listed_by_one_session() -> None:
    assert len(fitted(*(scope(f"department-{number:08}/") for number in range(9)))) <= MAX_CHARS


def test_scopes_within_others_do_not_count() -> None:
    inner = [scope(f"finance/{'x' * 100}{number}/") for number in range(19)]
    assert fitted(scope("finance/"), *inner) == fitted(scope("finance/"))


def test_siblings_are_never_joined_by_what_their_names_share() -> None:
    text = fitted(*(scope(f"year={year}/", S3Permission.READ) for year in range(2013, 2019)))
    for outside in ("year=2012/x", "year=2019/x", "year=201/x", "year=2013x/y", "year=20130/x"):
        probe = Probe(action="s3:GetObject", bucket="acme-lake", key=outside, prefix=None)
        verdict = evaluate(text, action=probe.action, resource=probe.resource, context=probe.context)
        assert verdict is Verdict.EXPLICITLY_DENIED


def test_a_refusal_names_the_largest_resources_and_no_more_than_must_go() -> None:
    large = scope("l" * 250 + "/")
    small = [scope(f"s{number}/") for number in range(5)]
    error, named = refused(*small[:2], large, *small[2:], scope("m" * 150 + "/"))
    assert named == {arn_of(large)}
    assert str(MAX_CHARS) in error.message
    assert error.hint.startswith("leave out")


def test_what_is_left_after_leaving_out_fits() -> None:
    source = random.Random(20261124)
    seen = 0
    for _ in range(300):
        scopes = tuple(each for _ in range(4) for each in random_scopes(source))
        if len(print_session_policy(scopes, ACCOUNT, None)) <= MAX_CHARS:
            continue
        error, named = refused(*scopes)
        if error.hint.startswith("no session"):
            continue
        seen += 1
        assert fitted(*(each for each in scopes if arn_of(each) not in named))
        assert named <= {arn_of(each) for each in scopes}
    assert seen > 100


def test_a_resource_that_fits_no_session_is_named() -> None:
    long = scope("*" * 290 + "/")
    error, named = refused(scope("finance/"), long)
    assert named == {arn_of(long)}
    assert "shorter prefix" in error.hint


def test_a_name_whose_permissions_fit_only_one_by_one_is_named() -> None:
    def size(*scopes: S3Scope) -> int:
        return len(print_session_policy(scopes, ACCOUNT, None))

    def parts(length: int) -> tuple[S3Scope, S3Scope]:
        key = "k" * length + "/"
        return scope(key, S3Permission.READ), scope(key, S3Permission.LIST, S3Permission.WRITE)

    both = next(parts(length) for length in range(200, 400) if size(*parts(length)) > MAX_CHARS)
    assert all(size(each) <= MAX_CHARS for each in both)
    error, named = refused(*both)
    assert named == {arn_of(both[0])}
    assert "one access at a time" in error.hint


def test_a_refusal_takes_few_prints() -> None:
    """An authenticated caller may ask for it again and again."""
    printed = 0

    def counting(scopes: tuple[Scope, ...], account: str, ends_at: datetime | None) -> str:
        nonlocal printed
        printed += len(scopes)
        return print_session_policy(scopes, account, ends_at)

    with pytest.raises(LimitExceeded):
        fit(tuple(scope(f"{number:02}{'x' * 150}/") for number in range(20)), ACCOUNT, None, printer=counting)
    assert printed < 150
