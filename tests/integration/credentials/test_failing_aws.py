"""AWS that throttles, hangs, breaks off or answers nonsense, over a real socket and with botocore's real retries."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from botocore.retries.standard import ExponentialBackoff, RetryContext
from penstock_server.aws import clients
from penstock_server.credentials import fit
from penstock_server.credentials.requests import AwsCredentialRequest
from penstock_server.errors import LimitExceeded, PenstockError, Reason, Unavailable
from penstock_server.model.audit import Event
from penstock_server.model.lease import LeaseStatus
from penstock_server.policy.bound import BoundPolicy
from support.credentials import Doors, aws_request, bound_policy, cluster, doors, login_request, principal
from support.tokens import SteppedClock, request_context

ALICE = principal("alice")
CONTEXT = request_context()
REQUEST = aws_request("arn:aws:s3:::acme-lake/finance/*", request_id="7f1c9c1e-9d8a-4d0e-8f0a-2b9f0d3c4e5f")
NAMESPACE = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'

REAL_DELAY = ExponentialBackoff.delay_amount

Answer = tuple[int, str]


def fault(code: str, status: int = 400) -> Answer:
    return status, (
        f"<ErrorResponse {NAMESPACE}><Error><Type>Sender</Type><Code>{code}</Code>"
        "<Message>about arn:aws:iam::111122223333:role/inner-secret</Message></Error>"
        "<RequestId>q</RequestId></ErrorResponse>"
    )


def session(name: str, expires_at: datetime) -> Answer:
    return 200, (
        f"<AssumeRoleResponse {NAMESPACE}><AssumeRoleResult><Credentials><AccessKeyId>ASIATEST</AccessKeyId>"
        f"<SecretAccessKey>hush</SecretAccessKey><SessionToken>hush-hush</SessionToken>"
        f"<Expiration>{expires_at:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
        f"<AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/penstock-lake-reader/{name}</Arn>"
        "<AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
    )


def login(user: str, expires_at: datetime) -> Answer:
    return 200, (
        '<GetClusterCredentialsResponse xmlns="http://redshift.amazonaws.com/doc/2012-12-01/">'
        f"<GetClusterCredentialsResult><DbUser>{user}</DbUser><DbPassword>hush</DbPassword>"
        f"<Expiration>{expires_at:%Y-%m-%dT%H:%M:%SZ}</Expiration></GetClusterCredentialsResult>"
        "</GetClusterCredentialsResponse>"
    )


class Script:
    """What the endpoint answers, call by call; the last answer repeats."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[str], Answer]] = []
        self.calls = 0
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def next(self, body: str) -> Answer:
        self.arrived.set()
        self.gate.wait(20)
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        return answer(body) if callable(answer) else answer


@contextmanager
def endpoint(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, text = script.next(body)
            if status == 0:
                self.close_connection = True
                return
            raw = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        script.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def trickling() -> Iterator[str]:
    """An endpoint that answers a byte now and then, for ever."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.close_connection = True
            with suppress(OSError):
                while not over.wait(0.02):
                    self.wfile.write(b" ")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def plain_request() -> AwsCredentialRequest:
    """A request without an id, so that it may be made again."""
    return aws_request("arn:aws:s3:::acme-lake/finance/*")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    files = '{name: f, principals: [everyone], resource: "arn:aws:s3:::acme-lake/*", permissions: [READ]}'
    login = '{name: l, principals: [everyone], resource: "redshift:analytics", permissions: [CONNECT]}'
    text = f"grants:\n  - {files}\n  - {login}\n"
    return bound_policy(tmp_path_factory.mktemp("policy"), text, logins=["analytics"])


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def bench(tmp_path: Path, policy: BoundPolicy, script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    # botocore waits up to 20 s between attempts; its jitter is what we rely on, not its length.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    clock = SteppedClock(instant=datetime.now(UTC))
    with (
        endpoint(script) as url,
        doors(tmp_path, policy, endpoint_url=url, clock=clock, clusters=[cluster()]) as opened,
    ):
        yield opened


def named(expires_at: datetime) -> Callable[[str], Answer]:
    def answer(body: str) -> Answer:
        return session(parse_qs(body)["RoleSessionName"][0], expires_at)

    return answer


def kept_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("state.db*"))


async def failure(bench: Doors) -> PenstockError:
    with pytest.raises(PenstockError) as failed:
        await bench.aws.issue(ALICE, REQUEST, CONTEXT)
    error = failed.value
    assert "inner-secret" not in f"{error.message} {error.hint} {error.metadata}"
    assert bench.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_FAILED)
    assert await bench.state.leases.of(ALICE, after="", limit=9) == ()
    return error


async def test_a_throttled_call_is_tried_again_and_gives_one_session(bench: Doors, script: Script) -> None:
    good = named(bench.clock.now() + timedelta(hours=1))
    script.answers = [fault("Throttling"), fault("Throttling"), good]
    await bench.aws.issue(ALICE, REQUEST, CONTEXT)
    assert script.calls == 3
    assert bench.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_ISSUED)


@pytest.mark.parametrize(
    ("answer", "attempts", "reason", "in_audit"),
    [
        (fault("Throttling"), 3, Reason.AWS_UNAVAILABLE, "Throttling"),
        (fault("ServiceUnavailable", 503), 3, Reason.AWS_UNAVAILABLE, "ServiceUnavailable"),
        ((0, ""), 3, Reason.AWS_UNAVAILABLE, "ConnectionClosedError"),
        ((502, "<html>bad gateway"), 3, Reason.AWS_UNAVAILABLE, "sts:AssumeRole"),
        ((200, "<html>hello</html>"), 1, Reason.AWS_UNAVAILABLE, "sts:AssumeRole"),
        ((200, f"<AssumeRoleResponse {NAMESPACE}/>"), 1, Reason.AWS_UNAVAILABLE, "cannot be read"),
        (session("somebody-else", datetime(2100, 1, 1, tzinfo=UTC)), 1, Reason.AWS_UNAVAILABLE, "another session"),
        (named(datetime(2100, 1, 1, tzinfo=UTC)), 1, Reason.AWS_REFUSED, "2100"),
        (fault("AccessDenied", 403), 1, Reason.AWS_REFUSED, "inner-secret"),
        (fault("ExpiredToken", 403), 1, Reason.AWS_REFUSED, "ExpiredToken"),
        (fault("RegionDisabledException", 403), 1, Reason.AWS_REFUSED, "RegionDisabled"),
        (fault("MalformedPolicyDocument"), 1, Reason.AWS_REFUSED, "MalformedPolicyDocument"),
        (named(datetime(2020, 1, 1, tzinfo=UTC)), 1, Reason.AWS_REFUSED, "expired at 2020"),
        (fault("ValidationError"), 1, Reason.AWS_REFUSED, "ValidationError"),
        (fault("RequestTimeTooSkewed", 403), 1, Reason.AWS_REFUSED, "RequestTimeTooSkewed"),
        (fault("SignatureDoesNotMatch", 403), 1, Reason.AWS_REFUSED, "SignatureDoesNotMatch"),
        (fault("InvalidClientTokenId", 403), 1, Reason.AWS_REFUSED, "InvalidClientTokenId"),
        (fault("SomethingNew", 429), 3, Reason.AWS_UNAVAILABLE, "SomethingNew"),
        (fault("SomethingNew", 500), 3, Reason.AWS_UNAVAILABLE, "SomethingNew"),
        (fault("SomethingNew", 400), 1, Reason.AWS_REFUSED, "SomethingNew"),
        ((200, ""), 1, Reason.AWS_UNAVAILABLE, "sts:AssumeRole"),
        ((302, ""), 1, Reason.AWS_UNAVAILABLE, "sts:AssumeRole"),
        (fault("PackedPolicyTooLarge"), 1, Reason.SESSION_POLICY_TOO_LARGE, "PackedPolicyTooLarge"),
        (fault("PackedPolicyTooLargeException"), 1, Reason.SESSION_POLICY_TOO_LARGE, "PackedPolicyTooLarge"),
    ],
)
async def test_a_failure_of_aws_is_one_typed_error(
    bench: Doors, script: Script, *, answer: Answer, attempts: int, reason: Reason, in_audit: str
) -> None:
    script.answers = [answer]
    error = await failure(bench)
    assert error.reason is reason
    assert isinstance(error, LimitExceeded if reason is Reason.SESSION_POLICY_TOO_LARGE else Unavailable)
    assert script.calls == attempts
    assert in_audit in bench.audit.records[-1].reason


async def test_after_a_failure_the_same_request_id_may_try_again(bench: Doors, script: Script) -> None:
    script.answers = [fault("AccessDenied", 403), named(bench.clock.now() + timedelta(hours=1))]
    await failure(bench)
    await bench.aws.issue(ALICE, REQUEST, CONTEXT)


@pytest.mark.parametrize(
    ("user", "expires_at", "reason"),
    [
        ("IAM:pk_alice", datetime(2100, 1, 1, tzinfo=UTC), Reason.AWS_REFUSED),
        ("IAM:awsuser", datetime(2026, 1, 1, tzinfo=UTC), Reason.AWS_UNAVAILABLE),
    ],
)
async def test_a_wrong_answer_of_redshift_is_no_login(
    bench: Doors, script: Script, *, user: str, expires_at: datetime, reason: Reason
) -> None:
    script.answers = [login(user, expires_at)]
    with pytest.raises(Unavailable) as failed:
        await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    assert failed.value.reason is reason
    assert bench.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_FAILED)
    assert "hush" not in str(bench.audit.records)


@pytest.mark.parametrize("code", ["PackedPolicyTooLarge", "PackedPolicyTooLargeException"])
async def test_what_fits_no_packed_size_is_refused_with_what_to_leave_out(
    bench: Doors, script: Script, *, code: str
) -> None:
    script.answers = [fault(code)]
    resources = [f"arn:aws:s3:::acme-lake/{name}/*" for name in ("a", "finance", "human-resources")]
    with pytest.raises(LimitExceeded) as failed:
        await bench.aws.issue(ALICE, aws_request(*resources), CONTEXT)
    assert failed.value.reason is Reason.SESSION_POLICY_TOO_LARGE
    assert set(re.findall(r"`([^`]*)`", failed.value.hint)) == {resources[2]}
    assert script.calls == 1
    assert await bench.state.leases.of(ALICE, after="", limit=9) == ()


@pytest.mark.parametrize(("percent", "warned"), [(79, False), (80, True)])
async def test_a_session_that_nearly_fills_its_packed_size_is_warned_of(
    bench: Doors, script: Script, caplog: pytest.LogCaptureFixture, *, percent: int, warned: bool
) -> None:
    def answer(body: str) -> Answer:
        status, text = session(parse_qs(body)["RoleSessionName"][0], bench.clock.now() + timedelta(hours=1))
        size = f"<PackedPolicySize>{percent}</PackedPolicySize></AssumeRoleResult>"
        return status, text.replace("</AssumeRoleResult>", size)

    script.answers = [answer]
    await bench.aws.issue(ALICE, REQUEST, CONTEXT)
    assert bench.audit.detail(Event.CREDENTIALS_ISSUED, "packed_policy_size") == str(percent)
    assert bool([line for line in caplog.records if line.name == fit.__name__]) is warned


async def test_retries_wait_ever_longer_and_never_the_same(bench: Doors, script: Script) -> None:
    """The way is botocore's, and what the doors rely on is that it has jitter and an upper bound."""
    backoff = ExponentialBackoff(max_backoff=20)
    waits = {
        attempt: {REAL_DELAY(backoff, RetryContext(attempt_number=attempt)) for _ in range(20)} for attempt in (1, 2)
    }
    assert all(len(found) > 10 for found in waits.values())
    assert max(waits[1]) <= 1
    assert max(waits[2]) <= 2
    script.answers = [fault("Throttling")]
    await failure(bench)
    assert script.calls == clients.MAX_ATTEMPTS


async def test_a_region_that_does_not_exist_is_one_typed_error(tmp_path: Path, policy: BoundPolicy) -> None:
    clock = SteppedClock(instant=datetime.now(UTC))
    # No such name resolves: `.invalid` is reserved for that (RFC 2606).
    with doors(tmp_path, policy, endpoint_url="http://sts.nowhere-1.invalid", clock=clock) as bench:
        error = await failure(bench)
    assert error.reason is Reason.AWS_UNAVAILABLE


async def test_an_answer_that_trickles_is_given_up_in_bounded_time(
    tmp_path: Path, policy: BoundPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "DEADLINE_SECONDS", 0.3)
    clock = SteppedClock(instant=datetime.now(UTC))
    with trickling() as url, doors(tmp_path, policy, endpoint_url=url, clock=clock) as bench:
        error = await failure(bench)
    assert error.reason is Reason.AWS_UNAVAILABLE


async def test_callers_beyond_what_can_wait_are_refused_at_once(
    bench: Doors, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MAX_CALLS", 1)
    script.answers = [named(bench.clock.now() + timedelta(hours=1))]
    script.gate.clear()
    first = asyncio.ensure_future(bench.aws.issue(ALICE, plain_request(), CONTEXT))
    await asyncio.to_thread(script.arrived.wait, 10)
    with pytest.raises(LimitExceeded) as refused:
        await bench.aws.issue(ALICE, plain_request(), CONTEXT)
    assert refused.value.reason is Reason.QUEUE_FULL
    script.gate.set()
    await first
    assert script.calls == 1


async def test_an_endpoint_that_hangs_is_given_up_in_bounded_time(
    bench: Doors, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "DEADLINE_SECONDS", 0.3)
    script.answers = [fault("Throttling")]
    script.gate.clear()
    error = await failure(bench)
    assert error.reason is Reason.AWS_UNAVAILABLE


async def test_a_caller_that_goes_away_leaves_a_lease_and_a_record(bench: Doors, script: Script) -> None:
    script.answers = [named(bench.clock.now() + timedelta(hours=1))]
    script.gate.clear()
    task = asyncio.ensure_future(bench.aws.issue(ALICE, REQUEST, CONTEXT))
    await asyncio.to_thread(script.arrived.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    script.gate.set()
    assert bench.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_FAILED)
    assert bench.audit.records[-1].reason == "CancelledError"
    # AWS may have made the session all the same: its lease counts as live.
    (lease,) = await bench.state.leases.of(ALICE, after="", limit=9)
    assert lease.status is LeaseStatus.ISSUING


async def test_a_secret_is_in_no_text_that_the_service_keeps(bench: Doors, script: Script, tmp_path: Path) -> None:
    script.answers = [named(bench.clock.now() + timedelta(hours=1))]
    issued = await bench.aws.issue(ALICE, REQUEST, CONTEXT)
    assert issued.session_token.reveal() == "hush-hush"
    await bench.state.close()
    kept = str(bench.audit.records) + repr(issued)
    kept += kept_bytes(tmp_path).decode(errors="replace")
    assert "hush" not in kept
