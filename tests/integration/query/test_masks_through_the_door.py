"""Masks through the whole door: what a caller is given, and that a key shows itself nowhere."""

from __future__ import annotations

import hmac
import io
import logging
from pathlib import Path

import pyarrow as pa
import pytest
from penstock_server.errors import QueryError
from penstock_server.query.requests import QueryHeader
from support.query_stand import Stand, analyst, context, request, run, standing
from support.small_lake import flights

KEY = "a secret key of a hash: 0123456789abcdef"
OTHER_KEY = "another key of a hash: 0123456789abcdef"

POLICY = """\
version: 1
masks:
  keyed: {rank: 1, builtin: hash, key: "env:PENSTOCK_TEST_MASK_KEY"}
  local: {rank: 2, builtin: sha-256-query-local}
  band: {rank: 3, expression: "CASE WHEN value >= 100 THEN 'late' ELSE 'on time' END", type: varchar}
grants:
  - name: masked
    principals: ["group:analysts"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    masks: {tail: keyed, carrier: local, delay: band}
  - name: clear
    principals: ["group:analysts"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    columns: {include: [flight, delay]}
    rows: "flight < 10"
  - name: numbers
    principals: ["group:analysts"]
    resource: lake.nyc.airlines
    permissions: [SELECT]
    masks: {carrier: local}
"""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_MASK_KEY", KEY)


def forms_of(key: str) -> list[bytes]:
    """The key as it is, in hex, and as HMAC mixes it into its two blocks, in hex and raw."""
    raw = key.encode()
    mixed = [bytes(byte ^ mark for byte in raw) for mark in (0x36, 0x5C)]
    return [raw, *mixed, *(part.hex().encode() for part in (raw, *mixed))]


async def table(stand: Stand, request_id: str, sql: str) -> pa.Table:
    header, *batches, _ = await run(stand, request_id, request(sql))
    assert isinstance(header, QueryHeader)
    stream = io.BytesIO(header.schema + b"".join(part for part in batches if isinstance(part, bytes)))
    return pa.ipc.open_stream(stream).read_all()


async def test_a_keyed_hash_is_hmac_and_joins(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        await stand.replace_policy(POLICY)
        found = await table(stand, "1", "select flight, tail from nyc.flights order by flight limit 100")
        tails = flights().column("tail").to_pylist()[:100]
        expected = [None if t is None else hmac.new(KEY.encode(), t.encode(), "sha256").hexdigest() for t in tails]
        assert found.column("tail").to_pylist() == expected
        joined = await table(stand, "2", "select count(*) n from nyc.flights a join nyc.flights b using (tail)")
        assert joined.column("n").to_pylist() == [900]


async def test_another_key_is_another_fingerprint_and_another_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with standing(tmp_path) as stand:
        sql = "select tail from nyc.flights where flight = 1"
        found = []
        for number, key in enumerate((KEY, OTHER_KEY, KEY)):
            monkeypatch.setenv("PENSTOCK_TEST_MASK_KEY", key)
            await stand.replace_policy(POLICY.replace("carrier: local, ", ""))
            (tail,) = (await table(stand, str(number), sql)).column("tail").to_pylist()
            (admitted, _) = await stand.records(str(number))
            found.append((tail, dict(admitted.details)["fingerprint of lake.nyc.flights"], admitted.policy_version))
        assert found[0] == found[2]
        assert found[0][0] != found[1][0]
        assert found[0][1] != found[1][1]
        assert found[0][2] == found[1][2]


async def test_a_key_stands_in_no_answer_error_record_or_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[bytes] = []
    async with standing(tmp_path) as stand:
        policy = await stand.replace_policy(POLICY)
        seen += [repr(policy).encode(), repr(policy.grants).encode(), str(policy.version).encode()]
        decision = stand.policies.current().resolve(
            analyst(), ("nyc", "flights"), default_catalog=None, facts=context("0").facts(at=analyst().issued_at)
        )
        seen.append(repr(decision).encode())
        statements = (
            "select * from nyc.flights",
            "explain select tail from nyc.flights where tail = 'x'",
            "explain analyze select tail from nyc.flights",
            "select * from duckdb_columns()",
            "select sql from duckdb_views()",
            "select cast(tail as integer) from nyc.flights",
            "select tail.x.y from nyc.flights",
        )
        for number, sql in enumerate(statements):
            try:
                parts = await run(stand, str(number), request(sql))
                seen += [part if isinstance(part, bytes) else repr(part).encode() for part in parts]
            except QueryError as error:
                seen.append(f"{error!r} {error.message} {error.hint} {error.metadata} {error.detail}".encode())
            seen += [repr(record).encode() for record in await stand.records(str(number))]
        described = await stand.door.describe(analyst(), request(statements[0]), context("d"))
        explained = await stand.door.explain(analyst(), request(statements[0]), context("e"))
        seen += [repr(described).encode(), repr(explained).encode()]
    seen += [path.read_bytes() for path in (tmp_path / "audit").rglob("*") if path.is_file()]
    written = capfd.readouterr()
    seen += [caplog.text.encode(), written.out.encode(), written.err.encode()]
    assert len(seen) > 20
    for form in forms_of(KEY):
        assert not any(form in text or form.upper() in text for text in seen)


async def test_a_digest_of_one_statement_joins_within_it_and_never_across_two(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        await stand.replace_policy(POLICY)
        sql = "select distinct carrier from nyc.flights order by carrier"
        one = set((await table(stand, "0", sql)).column("carrier").to_pylist())
        other = set((await table(stand, "1", sql)).column("carrier").to_pylist())
        assert len(one) == len(other) == 4
        assert not one & other
        joined = "select count(*) n, count(distinct f.carrier) d from nyc.flights f join nyc.airlines using (carrier)"
        found = await table(stand, "3", joined)
        assert found.to_pylist() == [{"n": 1_000, "d": 4}]
        prints = {
            dict((await stand.records(str(number)))[0].details)["fingerprint of lake.nyc.flights"]
            for number in range(2)
        }
        assert len(prints) == 2


async def test_a_mask_of_another_type_gives_the_whole_column_that_type(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        await stand.replace_policy(POLICY)
        found = await table(stand, "1", "select flight, delay, typeof(delay) t from nyc.flights order by flight")
        delays = flights().column("delay").to_pylist()
        shown = [str(delay) if row < 10 else "late" if delay >= 100 else "on time" for row, delay in enumerate(delays)]
        assert found.column("delay").to_pylist() == shown
        assert set(found.column("t").to_pylist()) == {"VARCHAR"}
        assert found.schema.field("delay").type == pa.string()
