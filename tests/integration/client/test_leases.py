"""Leases of real people at a real server: whose they are, what becomes of them, and what nobody else learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import penstock
import pytest
from penstock.login import Cached
from support.household import Command, Household

pytestmark = pytest.mark.usefixtures("at_home")

RESOURCE = "arn:aws:s3:::acme-lake/exports/*"


@pytest.fixture
def alice(household: Household) -> Iterator[penstock.Broker]:
    with penstock.connect(household.server, token=Cached(profile="alice")) as broker:
        yield broker


@pytest.fixture
def bob(household: Household) -> Iterator[penstock.Broker]:
    with penstock.connect(household.server, token=Cached(profile="bob")) as broker:
        yield broker


def refusal(broker: penstock.Broker, lease_id: str, *, revoke: bool) -> tuple[str, str, str]:
    ask = broker.revoke_lease if revoke else broker.lease
    with pytest.raises(penstock.NotFound) as caught:
        ask(lease_id)
    return caught.value.reason, caught.value.message, caught.value.hint


def test_a_holder_sees_and_revokes_their_lease_and_again_is_no_error(alice: penstock.Broker) -> None:
    issued = alice.aws_credentials([RESOURCE])
    before = alice.lease(issued.lease_id)
    assert before.state is penstock.LeaseState.ISSUED
    first = alice.revoke_lease(issued.lease_id)
    again = alice.revoke_lease(issued.lease_id)
    assert first.lease == again.lease
    assert first.lease == replace(before, state=penstock.LeaseState.REVOKED, revoked_at=first.lease.revoked_at)
    assert first.lease.revoked_at is not None


def test_an_answer_says_truly_that_nothing_is_denied_where_no_revocation_is_configured(alice: penstock.Broker) -> None:
    issued = alice.aws_credentials([RESOURCE])
    assert issued.revocable == "no"
    assert alice.revoke_lease(issued.lease_id).effect.startswith("not denied by AWS: the credential may work until 2")


@pytest.mark.parametrize("revoke", [True, False])
def test_nobody_else_learns_whether_a_lease_exists(
    alice: penstock.Broker, bob: penstock.Broker, *, revoke: bool
) -> None:
    theirs = alice.aws_credentials([RESOURCE]).lease_id
    assert refusal(bob, theirs, revoke=revoke) == refusal(bob, "0" * 32, revoke=revoke)
    assert refusal(bob, theirs, revoke=revoke) == refusal(bob, "no id at all", revoke=revoke)
    assert alice.lease(theirs).state is penstock.LeaseState.ISSUED


def test_leases_of_everybody_are_for_administrators(bob: penstock.Broker) -> None:
    with pytest.raises(penstock.AccessDenied) as caught:
        bob.leases(everybody=True)
    assert caught.value.reason == "ROLE_REQUIRED"


def test_the_command_lists_shows_and_revokes(alice: penstock.Broker, command: Command) -> None:
    lease = alice.aws_credentials([RESOURCE]).lease_id
    assert lease in command("leases", "--profile", "alice").out
    shown = command("leases", "show", lease, "--profile", "alice")
    assert "issued" in shown.out
    revoked = command("leases", "revoke", lease, "--profile", "alice")
    assert (revoked.code, "not denied by AWS" in revoked.out.replace("\n", " ")) == (0, True)
    nobody = command("leases", "revoke", "0" * 32, "--profile", "alice")
    assert nobody.code == 1
    assert "there is no such lease for you" in nobody.err
