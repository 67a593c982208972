"""When keys are fetched, how often, and how long they serve: against a real HTTP server, under a stepped clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.identity.keys import issuer_keys
from penstock_server.identity.keys.issuer_keys import IssuerKeys
from penstock_server.identity.keys.key_set import KeysUnreadable
from penstock_server.identity.keys.sources import source_of
from penstock_server.identity.refusal import Rule
from penstock_server.identity.verifier import TokenVerifier
from support.key_server import KeyServer, key_server
from support.tokens import (
    NoFloors,
    SteppedClock,
    TokenMint,
    identity_settings,
    issuer_settings,
    jwks,
    request_context,
    rsa_key,
)
from support.verifying import refusal

OLD, NEW = rsa_key("old"), rsa_key("new")


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as running:
        running.publish("/jwks", jwks(OLD))
        yield running


class Remote:
    """A verifier whose keys come from the server."""

    def __init__(self, server: KeyServer, **settings: Any) -> None:
        self.clock = SteppedClock()
        issuer = issuer_settings(**{"jwks_uri": f"{server.origin}/jwks", **settings})
        self.verifier = TokenVerifier(identity_settings(issuer), NoFloors(), self.clock)
        self.mint = TokenMint(key=OLD, issuer=issuer.issuer, now=self.clock.now, lifetime=timedelta(minutes=30))
        self._server = server

    @property
    def fetches(self) -> int:
        return self._server.asked.count("/jwks")

    async def accepts(self, token: str) -> None:
        await self.verifier.verify((f"Bearer {token}",), request_context())

    async def refuses(self, token: str) -> str:
        return await refusal(self.verifier, f"Bearer {token}")


@asynccontextmanager
async def remote(server: KeyServer, **settings: Any) -> AsyncIterator[Remote]:
    running = Remote(server, **settings)
    await running.verifier.start()
    yield running
    await running.verifier.close()


def _stranger(running: Remote, number: int = 0) -> str:
    return running.mint(header={"kid": f"made-up-{number}"})


async def test_keys_are_fetched_once_and_serve_for_five_minutes(server: KeyServer) -> None:
    async with remote(server) as running:
        for _ in range(5):
            await running.accepts(running.mint())
        running.clock.advance(timedelta(seconds=299))
        await running.accepts(running.mint())
        assert running.fetches == 1
        running.clock.advance(timedelta(seconds=1))
        await running.accepts(running.mint())
        assert running.fetches == 2


@pytest.mark.parametrize(
    ("cache_control", "minutes"),
    [
        ("max-age=600", 10),
        ("public, max-age=600, must-revalidate", 10),
        ("max-age=0", 5),
        ("no-store", 5),
        ("max-age=86400", 15),
        ("max-age=999999999999999", 5),
        ("s-maxage=600", 5),
        ("x-max-age=600", 5),
    ],
)
async def test_the_server_may_ask_for_five_to_fifteen_minutes(
    server: KeyServer, cache_control: str, minutes: int
) -> None:
    server.publish("/jwks", jwks(OLD), Cache_Control=cache_control)
    async with remote(server) as running:
        running.clock.advance(timedelta(minutes=minutes, seconds=-1))
        await running.accepts(running.mint())
        assert running.fetches == 1
        running.clock.advance(timedelta(seconds=1))
        await running.accepts(running.mint())
        assert running.fetches == 2


async def test_a_token_that_was_seen_before_causes_the_refresh_too(server: KeyServer) -> None:
    """Otherwise a client that repeats one token would never notice that its key was withdrawn."""
    async with remote(server) as running:
        running.clock.advance(timedelta(seconds=290))
        token = running.mint()
        await running.accepts(token)
        server.publish("/jwks", jwks(NEW))
        running.clock.advance(timedelta(seconds=10))
        assert await running.refuses(token) == Rule.KEY_NOT_FOUND


async def test_an_unknown_key_is_looked_for_at_once(server: KeyServer) -> None:
    async with remote(server) as running:
        server.publish("/jwks", jwks(OLD, NEW))
        running.clock.advance(timedelta(seconds=30))
        await running.accepts(running.mint(header={"kid": "new"}, key=NEW))
        await running.accepts(running.mint())
        assert running.fetches == 2


async def test_made_up_keys_cause_one_fetch_in_thirty_seconds(server: KeyServer) -> None:
    async with remote(server) as running:
        for number in range(50):
            assert await running.refuses(_stranger(running, number)) == Rule.KEY_NOT_FOUND
        assert running.fetches == 1
        running.clock.advance(timedelta(seconds=30))
        rules = await asyncio.gather(*(running.refuses(_stranger(running, number)) for number in range(50)))
        assert set(rules) == {Rule.KEY_NOT_FOUND}
        assert running.fetches == 2
        running.clock.advance(timedelta(seconds=29))
        await running.refuses(_stranger(running))
        assert running.fetches == 2


async def test_a_removed_key_verifies_nothing_after_the_refresh_that_a_stranger_caused(server: KeyServer) -> None:
    async with remote(server) as running:
        token = running.mint()
        await running.accepts(token)
        server.publish("/jwks", jwks(NEW))
        running.clock.advance(timedelta(seconds=30))
        await running.refuses(_stranger(running))
        assert await running.refuses(token) == Rule.KEY_NOT_FOUND


async def test_many_requests_at_once_share_one_fetch(server: KeyServer) -> None:
    async with remote(server) as running:
        running.clock.advance(timedelta(minutes=5))
        await asyncio.gather(*(running.accepts(running.mint()) for _ in range(50)))
        assert running.fetches == 2


async def test_a_request_that_goes_away_does_not_end_the_fetch_for_the_others(server: KeyServer) -> None:
    async with remote(server) as running:
        server.publish("/jwks", jwks(OLD, NEW))
        running.clock.advance(timedelta(seconds=30))
        server.gate.clear()
        token = running.mint(header={"kid": "new"}, key=NEW)
        first = asyncio.create_task(running.accepts(token))
        second = asyncio.create_task(running.accepts(token))
        while running.fetches < 2:  # noqa: ASYNC110 - the other side is a thread
            await asyncio.sleep(0.005)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.gate.set()
        await second
        assert running.fetches == 2


async def test_a_provider_that_hangs_delays_requests_and_does_not_refuse_them(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_PATIENCE_WITH_KEYS_SECONDS", 0.05)
    async with remote(server) as running:
        running.clock.advance(timedelta(minutes=5))
        server.gate.clear()
        await running.accepts(running.mint())
        server.gate.set()


async def test_old_keys_serve_for_a_day_and_no_longer(server: KeyServer) -> None:
    async with remote(server) as running:
        del server.pages["/jwks"]
        running.clock.advance(timedelta(hours=23, minutes=59))
        await running.accepts(running.mint())
        assert running.verifier.ready()
        running.clock.advance(timedelta(seconds=61))
        assert await running.refuses(running.mint()) == Rule.KEYS_UNAVAILABLE
        assert not running.verifier.ready()
        server.publish("/jwks", jwks(OLD))
        running.clock.advance(timedelta(seconds=30))
        await running.accepts(running.mint())
        assert running.verifier.ready()


async def test_a_token_that_was_seen_before_is_refused_when_the_keys_are_a_day_old(server: KeyServer) -> None:
    async with remote(server) as running:
        del server.pages["/jwks"]
        running.clock.advance(timedelta(hours=23, minutes=59, seconds=30))
        token = running.mint()
        await running.accepts(token)
        running.clock.advance(timedelta(seconds=31))
        assert await running.refuses(token) == Rule.KEYS_UNAVAILABLE


async def test_a_provider_that_fails_is_asked_every_thirty_seconds(server: KeyServer) -> None:
    async with remote(server) as running:
        del server.pages["/jwks"]
        running.clock.advance(timedelta(minutes=5))
        for _ in range(10):
            await running.accepts(running.mint())
        assert running.fetches == 2
        running.clock.advance(timedelta(seconds=30))
        await running.accepts(running.mint())
        # Not waited for any more after a failure: the fetch may still be under way.
        await running.refuses(_stranger(running))
        assert running.fetches == 3


async def test_a_provider_that_is_down_at_the_start_is_tried_again(server: KeyServer) -> None:
    page = server.pages.pop("/jwks")
    async with remote(server) as running:
        assert not running.verifier.ready()
        assert await running.refuses(running.mint()) == Rule.KEYS_UNAVAILABLE
        server.pages["/jwks"] = page
        running.clock.advance(timedelta(seconds=30))
        await running.accepts(running.mint())
        assert running.verifier.ready()


async def test_keys_are_renewed_without_any_request(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock_server.identity.verifier._RENEWAL_SECONDS", 0.01)
    async with remote(server) as running:
        running.clock.advance(timedelta(minutes=4, seconds=1))
        async with asyncio.timeout(5):
            while running.fetches < 2:  # noqa: ASYNC110 - the other side is a thread
                await asyncio.sleep(0.005)


async def test_one_provider_that_is_down_does_not_stop_the_other(server: KeyServer) -> None:
    clock = SteppedClock()
    up = issuer_settings(jwks_uri=f"{server.origin}/jwks")
    down = issuer_settings(
        issuer="https://down.test", jwks_uri=f"{server.origin}/nothing", default=False, group_prefix="down:"
    )
    verifier = TokenVerifier(identity_settings(up, down), NoFloors(), clock)
    await verifier.start()
    mint = TokenMint(key=OLD, now=clock.now)
    await verifier.verify((f"Bearer {mint()}",), request_context())
    assert await refusal(verifier, f"Bearer {mint(iss='https://down.test')}") == Rule.KEYS_UNAVAILABLE
    assert not verifier.ready()
    await verifier.close()


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"keys": 1}', "<html>", '{"keys": [], "keys": []}'])
async def test_an_answer_that_is_no_key_set_leaves_the_keys_as_they_were(server: KeyServer, body: str) -> None:
    async with remote(server) as running:
        server.publish("/jwks", body)
        running.clock.advance(timedelta(minutes=5))
        await running.accepts(running.mint())
        assert running.fetches == 2


# Discovery.


def _discoverable(server: KeyServer, **members: Any) -> str:
    document = {"issuer": server.origin, "jwks_uri": f"{server.origin}/jwks", **members}
    server.publish("/.well-known/openid-configuration", json.dumps(document))
    return server.origin


async def test_keys_are_found_by_discovery(server: KeyServer) -> None:
    async with remote(server, issuer=_discoverable(server), jwks_uri=None) as running:
        await running.accepts(running.mint())
        assert server.asked == ["/.well-known/openid-configuration", "/jwks"]


async def test_an_issuer_that_ends_in_a_slash_is_found_too(server: KeyServer) -> None:
    issuer = _discoverable(server, issuer=f"{server.origin}/") + "/"
    async with remote(server, issuer=issuer, jwks_uri=None) as running:
        await running.accepts(running.mint())


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"issuer": "https://another.test"}, "names another issuer"),
        ({"issuer": None}, "names another issuer"),
        ({"jwks_uri": None}, "no jwks_uri"),
        ({"jwks_uri": "https://another.test/jwks"}, "on another host"),
        ({"jwks_uri": "http://127.0.0.1:1/jwks"}, "on another host"),
        ({"jwks_uri": "http://localhost/jwks"}, "on another host"),
        ({"jwks_uri": "http://another.test/jwks"}, "use https"),
        ({"jwks_uri": "file:///etc/passwd"}, "no host"),
    ],
    ids=str,
)
def test_a_discovery_document_that_leads_elsewhere_is_refused(
    server: KeyServer, members: dict[str, Any], why: str
) -> None:
    source = source_of(issuer_settings(issuer=_discoverable(server, **members)))
    with pytest.raises(KeysUnreadable, match=why):
        source.load()
    assert server.asked == ["/.well-known/openid-configuration"]


def test_a_discovery_document_that_is_no_json_is_refused(server: KeyServer) -> None:
    server.publish("/.well-known/openid-configuration", f'{{"issuer": "{server.origin}", "issuer": "x"}}')
    with pytest.raises(KeysUnreadable, match="stands twice"):
        source_of(issuer_settings(issuer=server.origin)).load()


async def test_the_first_wait_for_keys_ends_though_the_provider_hangs(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_PATIENCE_SECONDS", 0.05)
    server.gate.clear()
    with ThreadPoolExecutor(1) as executor:
        source = source_of(issuer_settings(jwks_uri=f"{server.origin}/jwks"))
        keys = IssuerKeys("x", source, SteppedClock(), executor)
        await keys.refresh_if_stale()
        assert not keys.ready()
        server.gate.set()


def test_a_key_file_is_read_again_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(jwks(OLD), encoding="utf-8")
    source = source_of(issuer_settings(jwks_file=path))
    first = source.load().keys
    assert source.load().keys is first
    path.with_name("next").write_text(jwks(NEW), encoding="utf-8")
    path.with_name("next").replace(path)
    assert set(source.load().keys.usable) == {"new"}
