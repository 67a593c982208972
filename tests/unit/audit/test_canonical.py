from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock_server.audit.canonical import GENESIS, MAX_LINE_BYTES, chain, encode, parse
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.decision import PolicyVersion
from support.audit import audit_record

anything = st.text(st.characters(exclude_categories=()), max_size=30)
records = st.builds(
    AuditRecord,
    event=st.sampled_from(Event),
    outcome=st.sampled_from(Outcome),
    occurred_at=st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    request_id=anything,
    issuer=anything,
    subject=anything,
    username=anything,
    resources=st.lists(anything, max_size=3).map(tuple),
    policy_version=st.none() | anything.map(PolicyVersion),
    reason=anything,
    details=st.lists(st.tuples(anything, anything), max_size=3).map(tuple),
)


@given(records, st.integers(1, 2**60))
def test_every_record_is_read_back_as_it_was_written(record: AuditRecord, sequence: int) -> None:
    link = chain(encode(record), sequence=sequence, previous="ab" * 32)
    entry = parse(link.line)
    assert (entry.record, entry.sequence, entry.previous_digest) == (record, sequence, "ab" * 32)
    assert entry.digest == link.digest
    assert link.line.isascii()
    assert link.line.count(b"\n") == 1


def test_a_line_has_this_form_for_ever() -> None:
    line = chain(encode(audit_record("é", details=(("sql", 'select "x"\n'),))), sequence=1, previous=GENESIS).line
    body = (
        '{"sequence":1,"previous":"' + "0" * 64 + '","at":"2026-11-24T09:00:00.000000Z","event":"query.admitted",'
        '"outcome":"allowed","request_id":"\\u00e9","issuer":"https://login.test","subject":"7","username":"alice",'
        '"resources":["lake.nyc.flights"],"policy_version":"v1","reason":"","details":[["sql","select \\"x\\"\\n"]]'
    ).encode()
    digest = hashlib.sha256(bytes(32) + body).hexdigest()
    assert line == body + f',"digest":"{digest}"}}\n'.encode()


def test_one_instant_has_one_spelling() -> None:
    elsewhere = timezone(timedelta(hours=5))
    assert encode(audit_record(at=datetime(2026, 11, 24, 14, 0, tzinfo=elsewhere))) == encode(audit_record())


def test_an_instant_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        encode(audit_record(at=datetime(2026, 11, 24)))  # noqa: DTZ001


def test_a_record_longer_than_any_line_is_refused() -> None:
    with pytest.raises(ValueError, match="is too long"):
        encode(audit_record(details=(("sql", "x" * MAX_LINE_BYTES),)))


def forged(line: bytes, old: bytes, new: bytes) -> bytes:
    """Change the line and give it the digest that fits, as somebody with an editor and SHA-256 would."""
    body = line[: line.rindex(b',"digest"')].replace(old, new)
    digest = hashlib.sha256(bytes(32) + body).hexdigest()
    return body + f',"digest":"{digest}"}}\n'.encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"reason":""', b'"reason": ""'),
        (b'"username":"alice"', b'"username":"eve","username":"alice"'),
        (b'"username":"alice"', b'"username":"\\u0061lice"'),
        (b'"reason":""', b'"reason":"","note":"x"'),
        (b'"at":"2026-11-24T09:00:00.000000Z"', b'"at":"2026-11-24T10:00:00.000000+01:00"'),
        (b'"sequence":1', b'"sequence":1.0'),
        (b'"sequence":1', b'"sequence":true'),
        (b'"event":"query.admitted"', b'"event":"query.unheard"'),
        (b'"details":[]', b'"details":[["a"]]'),
        (b'"details":[]', b'"details":{}'),
        (b'"policy_version":"v1"', b'"policy_version":"v1",\n"x":1'),
    ],
)
def test_another_spelling_of_a_record_is_refused_even_with_a_fitting_digest(old: bytes, new: bytes) -> None:
    line = chain(encode(audit_record()), sequence=1, previous=GENESIS).line
    assert old in line
    with pytest.raises(ValueError, match=r"is not (written as records are|a record)"):
        parse(forged(line, old, new))


def test_a_forgery_that_changes_nothing_is_the_line_itself() -> None:
    line = chain(encode(audit_record()), sequence=1, previous=GENESIS).line
    assert forged(line, b"", b"") == line


@pytest.mark.parametrize("cut", [1, 2, 70, 200])
def test_a_cut_line_is_not_complete(cut: int) -> None:
    line = chain(encode(audit_record()), sequence=1, previous=GENESIS).line
    with pytest.raises(ValueError, match="is not a complete record"):
        parse(line[:-cut])


def test_a_changed_value_shows_in_the_digest() -> None:
    line = chain(encode(audit_record()), sequence=1, previous=GENESIS).line
    with pytest.raises(ValueError, match="its digest does not match"):
        parse(line.replace(b'"alice"', b'"mallo"'))


def test_a_line_is_json_that_other_tools_read() -> None:
    line = chain(encode(audit_record()), sequence=1, previous=GENESIS).line
    assert json.loads(line)["username"] == "alice"
