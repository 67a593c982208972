from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock_server.credentials import revocation_document as module
from penstock_server.credentials.revocation_document import LIMIT_CHARS, Width, revocation_document
from penstock_server.model.lease import Generation, Revocation, RevocationKind
from support.credentials import ACCOUNT
from support.iam import Verdict, evaluate

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROLES = tuple(f"arn:aws:iam::{ACCOUNT}:role/penstock-{name}" for name in ("lake", "raw", "export"))


def person(number: int, until: datetime = NOON) -> Revocation:
    return entry(RevocationKind.PERSON, f"pk-{number:026d}", until)


def lease(number: int, role: str = ROLES[0], until: datetime = NOON) -> Revocation:
    return entry(RevocationKind.LEASE, f"{number:032x}", until, role=role)


def role(arn: str, until: datetime = NOON) -> Revocation:
    return entry(RevocationKind.ROLE, arn, until)


def entry(kind: RevocationKind, target: str, until: datetime, *, role: str = "") -> Revocation:
    return Revocation(
        kind=kind,
        target=target,
        role=role,
        until=until,
        leaves_at=until + timedelta(hours=1),
        generation=Generation(1),
        cause="by a test",
        leases=1,
    )


def session(
    *, person: int = 1, lease: int = 1, role: str = ROLES[0], at: datetime = NOON - timedelta(minutes=1)
) -> dict[str, str]:
    return {
        "aws:SourceIdentity": f"pk-{person:026d}",
        "aws:PrincipalTag/penstock:lease": f"{lease:032x}",
        "aws:PrincipalArn": role,
        "aws:TokenIssueTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
    }


def meant_by(revocation: Revocation) -> dict[str, str]:
    """A session that an entry means: the last one that it does."""
    if revocation.kind is RevocationKind.PERSON:
        return session(at=revocation.until) | {"aws:SourceIdentity": revocation.target}
    if revocation.kind is RevocationKind.ROLE:
        return session(role=revocation.target, at=revocation.until)
    tag = {"aws:PrincipalTag/penstock:lease": revocation.target}
    return session(role=revocation.role, at=revocation.until) | tag


def denied(text: str, context: dict[str, str]) -> bool:
    verdict = evaluate(text, action="s3:GetObject", resource="arn:aws:s3:::acme-lake/x", context=context)
    assert verdict is not Verdict.IMPLICITLY_DENIED
    return verdict is Verdict.EXPLICITLY_DENIED


def exact(*entries: Revocation) -> str:
    document = revocation_document(entries)
    assert document.width is Width.EXACT
    return document.text


def test_without_revocations_everything_passes_the_boundary() -> None:
    assert not denied(exact(), session())


def test_a_person_is_denied_what_was_issued_until_that_second_and_nothing_later() -> None:
    text = exact(person(1))
    assert denied(text, session(person=1, at=NOON))
    assert not denied(text, session(person=1, at=NOON + timedelta(seconds=1)))
    assert not denied(text, session(person=2))


def test_persons_keep_their_own_times() -> None:
    text = exact(person(1), person(2, NOON - timedelta(minutes=10)))
    assert denied(text, session(person=1))
    assert not denied(text, session(person=2))
    assert denied(text, session(person=2, at=NOON - timedelta(minutes=10)))


def test_a_lease_is_denied_whenever_it_was_issued_and_no_other_lease_is() -> None:
    text = exact(lease(5))
    assert denied(text, session(lease=5, at=NOON + timedelta(minutes=2)))
    assert not denied(text, session(lease=6))


def test_a_role_is_denied_until_that_second_and_no_other_role_is() -> None:
    text = exact(role(ROLES[1]))
    assert denied(text, session(role=ROLES[1], at=NOON))
    assert not denied(text, session(role=ROLES[1], at=NOON + timedelta(seconds=1)))
    assert not denied(text, session(role=ROLES[0]))


def test_a_login_that_is_no_session_of_aws_is_not_in_the_document() -> None:
    assert exact(lease(1, role="")) == exact()


def test_the_same_entries_in_any_order_give_the_same_bytes() -> None:
    entries = [person(1), person(2), lease(1), lease(2), role(ROLES[0]), role(ROLES[1], NOON - timedelta(minutes=1))]
    assert exact(*entries) == exact(*reversed(entries))


def test_too_many_times_of_persons_become_one_time() -> None:
    entries = [person(number, NOON - timedelta(seconds=number)) for number in range(100)]
    document = revocation_document(entries)
    assert document.width is Width.ONE_TIME
    assert all(denied(document.text, meant_by(entry)) for entry in entries)
    assert not denied(document.text, session(person=999))


def test_about_170_persons_of_one_time_are_named_one_by_one() -> None:
    assert revocation_document([person(number) for number in range(170)]).width is Width.EXACT
    assert revocation_document([person(number) for number in range(250)]).width is Width.EVERYTHING


def test_too_many_leases_become_their_roles_and_no_other_role() -> None:
    entries = [lease(number, ROLES[number % 2]) for number in range(400)]
    document = revocation_document(entries)
    assert document.width is Width.ROLES_OF_LEASES
    assert all(denied(document.text, meant_by(entry)) for entry in entries)
    assert denied(document.text, session(lease=9_999, role=ROLES[1]))
    assert not denied(document.text, session(lease=9_999, role=ROLES[2]))


def test_too_many_of_all_become_everything_until_the_latest_time() -> None:
    entries = [person(number, NOON - timedelta(seconds=number)) for number in range(1_000)]
    document = revocation_document(entries)
    assert document.width is Width.EVERYTHING
    assert denied(document.text, session(person=99_999, role=ROLES[2], at=NOON))
    assert not denied(document.text, session(person=5, at=NOON + timedelta(seconds=1)))


TIMES = st.integers(-3600, 3600).map(lambda seconds: NOON + timedelta(seconds=seconds))
ENTRIES = st.one_of(
    st.builds(person, st.integers(0, 300), TIMES),
    st.builds(lease, st.integers(0, 300), st.sampled_from(ROLES), TIMES),
    st.builds(role, st.sampled_from(ROLES), TIMES),
)


def once_each(entries: Iterable[Revocation]) -> list[Revocation]:
    return list({(entry.kind, entry.target): entry for entry in entries}.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRIES, max_size=40).map(once_each), st.integers(400, LIMIT_CHARS))
def test_whatever_the_limit_every_entry_is_denied_and_the_document_fits(
    entries: Sequence[Revocation], limit: int
) -> None:
    document = revocation_document(entries, limit_chars=limit)
    assert len(document.text) <= limit
    assert all(denied(document.text, meant_by(entry)) for entry in entries)
    # What was issued after every T is nobody's revoked session, at whatever width, unless it is a named lease.
    late = session(person=500, lease=500, at=NOON + timedelta(hours=2))
    assert not denied(document.text, late)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(ENTRIES, max_size=12).map(once_each),
    st.builds(
        lambda number, each, at: session(person=number, lease=number, role=each, at=at),
        st.integers(0, 300),
        st.sampled_from(ROLES),
        TIMES,
    ),
)
def test_each_level_denies_all_that_the_one_before_it_denies(
    entries: Sequence[Revocation], context: dict[str, str]
) -> None:
    texts = [module._print(statements(entries)) for _, statements in module._LEVELS]
    for narrower, wider in pairwise(texts):
        for each in (context, *map(meant_by, entries)):
            assert denied(wider, each) or not denied(narrower, each) or _later_lease(each, entries)


def _later_lease(context: dict[str, str], entries: Sequence[Revocation]) -> bool:
    """A lease is denied by its tag whatever its time; its role is, until the T of the lease, which is not before it."""
    return any(
        entry.kind is RevocationKind.LEASE
        and context["aws:PrincipalTag/penstock:lease"] == entry.target
        and (
            context["aws:TokenIssueTime"] > f"{entry.until:%Y-%m-%dT%H:%M:%SZ}"
            or context["aws:PrincipalArn"] != entry.role
        )
        for entry in entries
    )


@pytest.mark.parametrize("count", [0, 1, 100, 1_000])
def test_the_text_is_compact_json_of_the_form_that_iam_reads(count: int) -> None:
    text = revocation_document([person(number) for number in range(count)]).text
    assert json.dumps(json.loads(text), separators=(",", ":")) == text
    assert json.loads(text)["Version"] == "2012-10-17"
