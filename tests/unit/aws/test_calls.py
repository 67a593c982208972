from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from penstock_server.aws import clients as clients_module
from penstock_server.aws.clients import MAX_CALLS, AwsClients, client_config
from penstock_server.aws.redshift import ClusterLogin, RedshiftLogins
from penstock_server.aws.sts import AssumeRole, SecurityTokenService
from penstock_server.errors import LimitExceeded, Reason, Unavailable
from penstock_server.model.secret import Secret
from support.credentials import REGION, ROLE_ARN, CallRecorder

EXPIRES = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
ASSUME = AssumeRole(
    role_arn=ROLE_ARN,
    session_name="pk-someone",
    source_identity="pk-someone",
    external_id=Secret("external-id"),
    policy="{}",
    tags=(("penstock:lease", "0123"), ("penstock:user", "alice")),
    duration_seconds=900,
)
LOGIN = ClusterLogin(
    region=REGION,
    cluster_identifier="analytics",
    database_user="pk_alice",
    database="prod",
    database_groups=("bi_readers",),
    duration_seconds=900,
    auto_create=False,
)


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    opened = AwsClients(CallRecorder().session(), endpoint_url="http://127.0.0.1:1")
    yield opened
    opened.close()


def assumed(**changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Credentials": {
            "AccessKeyId": "ASIA0123456789ABCDEF",
            "SecretAccessKey": "secret-key",
            "SessionToken": "session-token",
            "Expiration": EXPIRES,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": "AROA0123456789ABCDEF:pk-someone",
            "Arn": "arn:aws:sts::111122223333:assumed-role/penstock-lake-reader/pk-someone",
        },
        "PackedPolicySize": 12,
    }
    return {**answer, **changes}


async def test_assume_role_sends_exactly_what_the_door_decided(clients: AwsClients) -> None:
    expected = {
        "RoleArn": ROLE_ARN,
        "RoleSessionName": "pk-someone",
        "SourceIdentity": "pk-someone",
        "Policy": "{}",
        "Tags": [{"Key": "penstock:lease", "Value": "0123"}, {"Key": "penstock:user", "Value": "alice"}],
        "DurationSeconds": 900,
        "ExternalId": "external-id",
    }
    with Stubber(clients.sts(REGION)) as stub:
        stub.add_response("assume_role", assumed(), expected)
        session = await SecurityTokenService(clients, region=REGION).assume_role(ASSUME)
    assert session.expires_at == EXPIRES
    assert session.packed_policy_size == 12
    assert (session.secret_access_key.reveal(), session.session_token.reveal()) == ("secret-key", "session-token")
    assert "secret-key" not in repr(session)
    assert "session-token" not in repr(session)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        assumed(Credentials={}),
        {key: value for key, value in assumed().items() if key != "AssumedRoleUser"},
        assumed(AssumedRoleUser={"AssumedRoleId": "x", "Arn": "arn:aws:sts::1:assumed-role/reader/somebody-else"}),
    ],
)
async def test_a_wrong_answer_of_sts_is_no_session(clients: AwsClients, answer: dict[str, Any]) -> None:
    client = clients.sts(REGION)
    # The stubber would refuse what AWS must not send; a wrong answer comes in behind it.
    events: Any = client.meta.events
    events.register("before-call.sts.AssumeRole", lambda **_: (_Http(), answer))
    with pytest.raises(Unavailable) as failed:
        await SecurityTokenService(clients, region=REGION).assume_role(ASSUME)
    assert failed.value.reason is Reason.AWS_UNAVAILABLE


class _Http:
    status_code = 200


@pytest.mark.parametrize("code", ["PackedPolicyTooLarge", "PackedPolicyTooLargeException"])
async def test_both_spellings_of_a_policy_that_is_too_large_are_one_limit(clients: AwsClients, code: str) -> None:
    with Stubber(clients.sts(REGION)) as stub:
        stub.add_client_error("assume_role", code, "PackedPolicySize 120", 400)
        with pytest.raises(LimitExceeded) as failed:
            await SecurityTokenService(clients, region=REGION).assume_role(ASSUME)
    assert failed.value.reason is Reason.SESSION_POLICY_TOO_LARGE


async def test_throttling_is_one_error_with_a_time_to_wait(clients: AwsClients) -> None:
    with Stubber(clients.sts(REGION)) as stub:
        stub.add_client_error("assume_role", "Throttling", "Rate exceeded", 400)
        with pytest.raises(Unavailable) as failed:
            await SecurityTokenService(clients, region=REGION).assume_role(ASSUME)
    assert failed.value.reason is Reason.AWS_UNAVAILABLE
    assert failed.value.retry_after_seconds == 5.0


async def test_an_endpoint_that_nobody_listens_at_is_unavailable(clients: AwsClients) -> None:
    with pytest.raises(Unavailable) as failed:
        await SecurityTokenService(clients, region=REGION).assume_role(ASSUME)
    assert failed.value.reason is Reason.AWS_UNAVAILABLE
    assert "127.0.0.1" not in failed.value.message


async def test_get_cluster_credentials_sends_exactly_what_the_door_decided(clients: AwsClients) -> None:
    expected = {
        "ClusterIdentifier": "analytics",
        "DbUser": "pk_alice",
        "DbName": "prod",
        "DbGroups": ["bi_readers"],
        "DurationSeconds": 900,
        "AutoCreate": False,
    }
    with Stubber(clients.redshift(REGION)) as stub:
        stub.add_response(
            "get_cluster_credentials",
            {"DbUser": "IAM:pk_alice:bi_readers", "DbPassword": "hush-hush", "Expiration": EXPIRES},
            expected,
        )
        login = await RedshiftLogins(clients).get_cluster_credentials(LOGIN)
    assert login.user == "IAM:pk_alice:bi_readers"
    assert "hush-hush" not in repr(login)


@pytest.mark.parametrize("user", ["IAM:awsuser", "awsuser", "IAM:pk_alice2", "IAMX:pk_alice", "", "IAM:", "pk_alice:x"])
async def test_a_login_for_another_user_is_no_login(clients: AwsClients, user: str) -> None:
    with Stubber(clients.redshift(REGION)) as stub:
        stub.add_response(
            "get_cluster_credentials", {"DbUser": user, "DbPassword": "hush-hush", "Expiration": EXPIRES}, None
        )
        with pytest.raises(Unavailable, match="did not answer"):
            await RedshiftLogins(clients).get_cluster_credentials(LOGIN)


async def test_the_broker_never_runs_on_the_keys_of_an_iam_user() -> None:
    opened = AwsClients(CallRecorder().session("AKIA0123456789ABCDEF"), endpoint_url="http://127.0.0.1:1")
    try:
        with pytest.raises(Unavailable) as failed:
            await SecurityTokenService(opened, region=REGION).assume_role(ASSUME)
        with pytest.raises(Unavailable):
            await RedshiftLogins(opened).get_cluster_credentials(LOGIN)
    finally:
        opened.close()
    assert failed.value.reason is Reason.AWS_REFUSED
    assert "IAM user" in failed.value.detail


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What blocked calls wait for; it opens at the end whatever happens."""
    made = threading.Event()
    yield made
    made.set()


async def test_more_calls_than_the_bound_are_refused_at_once_and_the_bound_frees_again(
    clients: AwsClients, gate: threading.Event
) -> None:
    waiting = [asyncio.ensure_future(clients.run(gate.wait, operation="test")) for _ in range(MAX_CALLS)]
    await asyncio.sleep(0)
    with pytest.raises(LimitExceeded) as refused:
        await clients.run(lambda: True, operation="test")
    gate.set()
    assert all(await asyncio.gather(*waiting))
    assert refused.value.reason is Reason.QUEUE_FULL
    assert await clients.run(lambda: 7, operation="test") == 7


async def test_a_caller_waits_no_longer_than_the_deadline(
    clients: AwsClients, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients_module, "DEADLINE_SECONDS", 0.05)
    with pytest.raises(Unavailable) as failed:
        async with asyncio.timeout(5):
            await clients.run(gate.wait, operation="test")
    assert failed.value.reason is Reason.AWS_UNAVAILABLE


async def test_broker_credentials_that_are_slow_to_come_do_not_hold_up_the_loop(gate: threading.Event) -> None:
    session = CallRecorder().session()
    asked = threading.Event()

    def slow() -> None:
        asked.set()
        gate.wait(10)

    session.get_credentials = slow  # type: ignore[method-assign]  # as the metadata service may be
    opened = AwsClients(session, endpoint_url="http://127.0.0.1:1")
    try:
        waiting = asyncio.ensure_future(SecurityTokenService(opened, region=REGION).assume_role(ASSUME))
        await asyncio.to_thread(asked.wait, 10)
        async with asyncio.timeout(5):
            assert await opened.run(lambda: 7, operation="test") == 7
        gate.set()
        with pytest.raises(Unavailable):
            await waiting
    finally:
        gate.set()
        opened.close()


@pytest.mark.parametrize("external_id", ["x", "a b", "a" * 1225, "caf\u00e9", "ab\n", "a*"])
async def test_an_external_id_that_sts_does_not_accept_is_not_sent(clients: AwsClients, external_id: str) -> None:
    with pytest.raises(Unavailable) as failed:
        await SecurityTokenService(clients, region=REGION).assume_role(replace(ASSUME, external_id=Secret(external_id)))
    assert failed.value.reason is Reason.AWS_REFUSED
    assert external_id not in failed.value.detail.removeprefix("sts:AssumeRole: the external id is not one")


async def test_a_closed_door_to_aws_is_unavailable(clients: AwsClients) -> None:
    clients.close()
    with pytest.raises(Unavailable):
        await clients.run(lambda: 7, operation="test")


async def test_a_session_name_in_the_alphabet_of_sts_is_sent(clients: AwsClients) -> None:
    name = "first.last+x@corp.example"
    arn = f"arn:aws:sts::111122223333:assumed-role/penstock-lake-reader/{name}"
    with Stubber(clients.sts(REGION)) as stub:
        stub.add_response(
            "assume_role", assumed(AssumedRoleUser={"AssumedRoleId": f"AROA0123456789ABCDEF:{name}", "Arn": arn})
        )
        session = await SecurityTokenService(clients, region=REGION).assume_role(replace(ASSUME, session_name=name))
    assert session.assumed_role_arn == arn


@pytest.mark.parametrize(
    "changes",
    [
        *({"session_name": name} for name in ("DOMAIN\\user", "a/b", "\u00fc", "a b", "a", "x" * 65, "")),
        {"source_identity": "a/b"},
        {"duration_seconds": 3_601},
        {"duration_seconds": 899},
    ],
    ids=str,
)
async def test_what_sts_would_refuse_is_refused_before_the_call(clients: AwsClients, changes: dict[str, Any]) -> None:
    """Of a chained session 3,600 seconds are the most; botocore sends all of these."""
    with Stubber(clients.sts(REGION)) as stub:
        stub.add_response("assume_role", assumed())
        with pytest.raises(Unavailable) as failed:
            await SecurityTokenService(clients, region=REGION).assume_role(replace(ASSUME, **changes))
        with pytest.raises(AssertionError, match="remaining"):
            stub.assert_no_pending_responses()
    assert failed.value.reason is Reason.AWS_REFUSED


def test_no_variable_sends_signed_calls_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://evil.test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://evil.test")
    opened = AwsClients(CallRecorder().session(), endpoint_url=None)
    try:
        assert opened.sts("eu-west-1").meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"
    finally:
        opened.close()


def test_every_client_has_bounded_retries_and_time_outs() -> None:
    config: Any = client_config()
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.connect_timeout == 3
    assert config.read_timeout == 8
