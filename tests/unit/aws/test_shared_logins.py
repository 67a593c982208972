"""What is sent for logins whose database user is an IAM role's: held against the model of AWS's own SDK."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import botocore.session
import pytest
from botocore.validate import ParamValidator
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.shared_logins import SharedLogin, SharedLogins, assumption, parameters
from penstock_server.aws.sts import SecurityTokenService
from penstock_server.errors import Unavailable
from penstock_server.model.secret import Secret
from support.credentials import REGION, CallRecorder

ROLE = "arn:aws:iam::111122223333:role/bi"
ENDS = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)


def login(*, workgroup: str = "", cluster: str = "", roles: tuple[str, ...] = ("bi", "finance")) -> SharedLogin:
    return SharedLogin(
        region=REGION,
        cluster_identifier=cluster,
        workgroup=workgroup,
        database="prod",
        duration_seconds=1800,
        role_arn=ROLE,
        external_id=Secret("external-id"),
        session_name="pk-" + "a" * 26,
        database_roles=roles,
        tags=(("penstock:lease", "0" * 32),),
    )


KINDS = {
    "redshift-serverless": ("GetCredentials", login(workgroup="wg-1")),
    "redshift": ("GetClusterCredentialsWithIAM", login(cluster="analytics")),
}


@pytest.mark.parametrize("service", KINDS)
def test_parameters_are_those_of_the_model_and_name_no_user(service: str) -> None:
    operation, request = KINDS[service]
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    sent = parameters(request)
    assert not ParamValidator().validate(sent, shape).has_errors()
    assert set(sent) <= set(shape.members)
    assert {name.lower() for name in sent} in (
        {"workgroupname", "dbname", "durationseconds"},
        {"clusteridentifier", "dbname", "durationseconds"},
    )


@pytest.mark.parametrize("service", KINDS)
def test_the_role_is_assumed_for_this_one_call(service: str) -> None:
    _, request = KINDS[service]
    assumed = assumption(request)
    allowed, denied = json.loads(assumed.policy)["Statement"]
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", request.operation)
    assert (denied["Effect"], denied["NotAction"]) == ("Deny", request.operation)
    assert assumed.tags == (("penstock:lease", "0" * 32), ("RedshiftDbRoles", "bi:finance"))
    assert assumption(login(workgroup="wg-1", roles=())).tags == (("penstock:lease", "0" * 32),)


class Answers(BaseHTTPRequestHandler):
    """Answers as AWS does, and keeps what was sent."""

    user = "IAMR:bi"
    sent: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        target = self.headers.get("x-amz-target", "")
        if target:
            self.sent.append((target.rsplit(".", 1)[1], json.loads(body)))
            answer = {"dbUser": self.user, "dbPassword": "secret", "expiration": ENDS.timestamp()}
            self._answer(json.dumps(answer), "application/x-amz-json-1.1")
            return
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        action = fields["Action"]
        self.sent.append((action, fields))
        ends = ENDS.strftime("%Y-%m-%dT%H:%M:%SZ")
        if action == "AssumeRole":
            result = (
                f"<Credentials><AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t"
                f"</SessionToken><Expiration>{ends}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>A:x"
                f"</AssumedRoleId><Arn>{ROLE}/{fields['RoleSessionName']}</Arn></AssumedRoleUser>"
            )
        else:
            result = f"<DbUser>{self.user}</DbUser><DbPassword>secret</DbPassword><Expiration>{ends}</Expiration>"
        self._answer(f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>", "text/xml")

    def _answer(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def aws() -> Iterator[tuple[str, type[Answers]]]:
    handler = type("Handler", (Answers,), {"sent": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()
    thread.join()


async def asked(url: str, request: SharedLogin) -> Any:
    clients = AwsClients(CallRecorder().session(), endpoint_url=url)
    try:
        return await SharedLogins(clients, SecurityTokenService(clients, region=REGION)).get(request)
    finally:
        clients.close()


@pytest.mark.parametrize("service", KINDS)
async def test_a_login_is_asked_for_as_the_role(aws: tuple[str, type[Answers]], service: str) -> None:
    url, handler = aws
    operation, request = KINDS[service]
    issued = await asked(url, request)
    assert (issued.user, issued.expires_at) == ("IAMR:bi", ENDS)
    assert "secret" not in repr(issued)
    assert [name for name, _ in handler.sent] == ["AssumeRole", operation]


@pytest.mark.parametrize("user", ["awsuser", "IAMA:alice", "pk_alice"])
async def test_a_user_that_is_no_roles_is_refused(aws: tuple[str, type[Answers]], user: str) -> None:
    url, handler = aws
    handler.user = user
    with pytest.raises(Unavailable):
        await asked(url, login(workgroup="wg-1"))
