"""The command `penstock` against a scripted server, in this process."""

from __future__ import annotations

import base64
import csv
import gc
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from penstock.cli.running import run
from penstock.v1 import (
    access_service_pb2,
    catalog_service_pb2,
    credential_service_pb2,
    decision_pb2,
    identity_service_pb2,
)
from support.household import Command
from support.scripted_server import Refusal, ScriptedServer, answer, error_info, scripted_server, status_bytes

TABLE = pa.table({"origin": ["JFK", None], "tailnum": ["[redacted]", "[redacted]"], "distance": [1, 2]})
APPLIED = decision_pb2.AppliedPolicy(
    table="lake.nyc.flights",
    grants=["analysts"],
    row_rules=["carriers"],
    masked_columns=[decision_pb2.MaskedColumn(column="tailnum", mask="hidden")],
    partly_null_columns=["origin"],
    rows_filtered=True,
    columns_left_out=True,
)
INSTANT = Timestamp()
INSTANT.FromDatetime(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
WHO = identity_service_pb2.WhoAmIResponse(
    username="alice", subject="s", issuer="https://idp", groups=["a"], groups_complete=True, expire_time=INSTANT
)
FLIGHTS = catalog_service_pb2.VisibleTable(
    name="lake.nyc.flights",
    columns=[
        decision_pb2.VisibleColumn(name="tailnum", type="VARCHAR", mask="hidden"),
        decision_pb2.VisibleColumn(name="origin", type="VARCHAR", partly_null=True),
    ],
    queryable=True,
    rows_filtered=True,
    applied_policy=APPLIED,
)
AWS = credential_service_pb2.IssueAwsCredentialsResponse(
    access_key_id="AKIA",
    secret_access_key="s3cr3t",
    session_token="t0k'3n",
    expire_time=INSTANT,
    region="eu-west-1",
    lease_id="l1",
)
LOGIN = credential_service_pb2.IssueRedshiftCredentialsResponse(
    user="IAM:pk_alice", password="p'w", host="h", port=5439, database="prod", expire_time=INSTANT
)
LEASE = credential_service_pb2.Lease(
    lease_id="l1",
    door=credential_service_pb2.DOOR_AWS,
    state=credential_service_pb2.LEASE_STATE_ISSUED,
    scope="read acme",
    create_time=INSTANT,
    expire_time=INSTANT,
    issuer="https://login.test",
    subject="sub-of-alice",
)
TREE = decision_pb2.ExplanationNode(
    layer="identity",
    verdict=decision_pb2.VERDICT_ALLOWED,
    sentence="you are alice",
    children=[
        decision_pb2.ExplanationNode(layer="rows", verdict=decision_pb2.VERDICT_NARROWED, sentence="rows filtered")
    ],
)
SCRIPT: dict[str, Callable[[Any], Any]] = {
    "WhoAmI": lambda _: WHO,
    "ListTables": lambda _: catalog_service_pb2.ListTablesResponse(tables=[FLIGHTS]),
    "GetTable": lambda _: catalog_service_pb2.GetTableResponse(table=FLIGHTS),
    "ExplainAccess": lambda _: access_service_pb2.ExplainAccessResponse(explanation=TREE),
    "ExecuteQuery": lambda _: answer(TABLE, applied_policies=[APPLIED], policy_version="0123456789abcdef"),
    "IssueAwsCredentials": lambda _: AWS,
    "IssueRedshiftCredentials": lambda _: LOGIN,
    "ListLeases": lambda _: credential_service_pb2.ListLeasesResponse(leases=[LEASE]),
    "GetLease": lambda _: credential_service_pb2.GetLeaseResponse(lease=LEASE),
    "RevokeLease": lambda _: credential_service_pb2.RevokeLeaseResponse(lease=LEASE, effect="denied"),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SERVER", "PROFILE", "TOKEN", "TOKEN_FILE"):
        monkeypatch.delenv(f"PENSTOCK_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    with scripted_server(dict(SCRIPT)) as running:
        monkeypatch.setenv("PENSTOCK_SERVER", running.address)
        monkeypatch.setenv("PENSTOCK_TOKEN", "t")
        yield running


@pytest.mark.usefixtures("server")
def test_whoami_prints_the_identity(command: Command) -> None:
    ran = command("whoami")

    assert ran.code == 0
    assert "username         alice" in ran.out
    assert "token until      2026-01-02 03:04:05 UTC" in ran.out


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        (["whoami"], ["username"], "alice"),
        (["tables"], [0, "name"], "lake.nyc.flights"),
        (["describe", "nyc.flights"], ["columns", 0, "mask"], "hidden"),
        (["explain", "nyc.flights"], ["children", 0, "verdict"], "narrowed"),
        (["leases"], [0, "door"], "aws"),
        (["leases", "--all"], [0, "subject"], "sub-of-alice"),
        (["leases", "show", "l1"], ["state"], "issued"),
        (["leases", "revoke", "l1"], ["effect"], "denied"),
        (["creds", "aws", "arn:aws:s3:::a/*"], ["secret_access_key"], "s3cr3t"),
        (["creds", "redshift", "analytics"], ["expires_at"], "2026-01-02T03:04:05+00:00"),
        (["query", "select 1"], [1, "origin"], None),
    ],
)
def test_every_answer_is_there_as_json(command: Command, arguments: list[str], path: list[Any], value: object) -> None:
    ran = command(*arguments, "--format", "json")

    found = json.loads(ran.out)
    for step in path:
        found = found[step]
    assert found == value


@pytest.mark.usefixtures("server")
def test_tables_are_listed_with_what_the_policy_does(command: Command) -> None:
    assert command("tables").out.splitlines() == [
        "table             columns  policy                                   ",
        "lake.nyc.flights  2        rows filtered; columns left out; 1 masked",
    ]


def test_the_pattern_goes_to_the_server(command: Command, server: ScriptedServer) -> None:
    command("tables", "nyc.*")

    assert server.seen[0].request.pattern == "nyc.*"


@pytest.mark.usefixtures("server")
def test_describe_marks_masked_and_nulled_columns_and_ends_with_the_policy(command: Command) -> None:
    _, tailnum, origin, closing = command("describe", "nyc.flights").out.splitlines()

    assert tailnum.split(maxsplit=2)[2].strip() == "shows mask hidden"
    assert origin.split(maxsplit=2)[2].strip() == "NULL on some rows"
    assert closing.startswith("lake.nyc.flights columns left out, rows filtered by carriers")


@pytest.mark.usefixtures("server")
def test_explain_shows_the_layers_as_a_tree(command: Command) -> None:
    assert command("explain", "nyc.flights").out == (
        "allowed identity: you are alice\n  narrowed rows: rows filtered\n"
    )


def test_a_statement_is_explained_with_its_catalog_and_parameters(command: Command, server: ScriptedServer) -> None:
    ran = command("explain", "--query", "select $1", "--catalog", "lake", "--param", "42")

    assert ran.out == "allowed identity: you are alice\n  narrowed rows: rows filtered\n"
    query = server.seen[0].request.query
    assert (query.sql, query.catalog, [each.integer_value for each in query.parameters]) == ("select $1", "lake", [42])
    assert not server.seen[0].request.HasField("principal")


def test_administrators_describe_of_whom_they_ask(command: Command, server: ScriptedServer) -> None:
    whom = [
        "--group",
        "ops",
        "--group",
        "eu",
        "--attribute",
        "team=a",
        "--attribute",
        "team=b",
        "--address",
        "10.0.0.1",
    ]
    command("explain", "nyc.flights", "--as", "user:bob", *whom)
    command("explain", "nyc.flights", "--as", "user:https://login.test|a|b")

    by_name, by_subject = (seen.request.principal for seen in server.seen)
    assert (by_name.username, by_name.subject, by_name.issuer) == ("bob", "", "")
    assert (list(by_name.groups), by_name.source_address) == (["ops", "eu"], "10.0.0.1")
    assert [(each.name, list(each.values)) for each in by_name.attributes] == [("team", ["a", "b"])]
    assert (by_subject.username, by_subject.subject, by_subject.issuer) == ("", "a|b", "https://login.test")


@pytest.mark.usefixtures("server")
def test_a_table_of_rows_marks_cells_and_ends_with_the_policy_that_shaped_it(command: Command) -> None:
    heading, first, second, closing = command("query", "select 1").out.splitlines()

    assert heading.split() == ["origin*", "tailnum", "[hidden]", "distance"]
    assert first.split() == ["JFK", "[redacted]", "1"]
    assert second.split() == ["NULL*", "[redacted]", "2"]
    assert closing == (
        "2 rows; policy 0123456789ab: lake.nyc.flights columns left out, rows filtered by carriers, "
        "tailnum masked [hidden], origin* NULL on some rows (by analysts)"
    )


@pytest.mark.usefixtures("server")
def test_csv_on_standard_output(command: Command) -> None:
    rows = list(csv.reader(io.StringIO(command("query", "select 1", "--format", "csv").out)))

    assert rows == [["origin", "tailnum", "distance"], ["JFK", "[redacted]", "1"], ["", "[redacted]", "2"]]


@pytest.mark.usefixtures("server")
def test_a_file_has_the_format_of_its_name(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "answer.parquet"

    ran = command("query", "select 1", "--output", str(file))

    assert (ran.code, ran.out) == (0, "")
    assert pyarrow.parquet.read_table(file).to_pydict() == TABLE.to_pydict()


@pytest.mark.usefixtures("server")
def test_a_table_may_be_written_to_a_file(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"

    command("query", "select 1", "-o", str(file))

    assert file.read_text().endswith("(by analysts)\n")


def test_everything_of_a_statement_goes_to_the_server(command: Command, server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "statement.sql"
    file.write_text("select 'ü'\n", encoding="utf-8")

    command(
        "query", "-f", str(file), "--catalog", "lake", "--param", "42", "--param", "JFK", "--param", "null",
        "--timeout", "1m",
    )  # fmt: skip

    request = server.seen[0].request
    assert (request.sql, request.catalog, request.timeout.seconds) == ("select 'ü'\n", "lake", 60)
    assert [each.WhichOneof("kind") for each in request.parameters] == ["integer_value", "string_value", None]


@pytest.mark.parametrize("arguments", [["-"], ["-f", "-"]])
def test_a_statement_may_come_from_standard_input(
    command: Command, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"select 2")))

    command("query", *arguments)

    assert server.seen[0].request.sql == "select 2"


@pytest.mark.parametrize("where", ["before", "after"])
def test_the_options_stand_before_or_after_the_name_of_the_command(
    command: Command, server: ScriptedServer, tmp_path: Path, where: str
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n", encoding="utf-8")
    options = ["--server", server.address, "--token-file", str(file)]

    ran = command(*(options if where == "before" else []), "whoami", *(options if where == "after" else []))

    assert ran.code == 0
    assert server.seen[0].metadata["authorization"] == "Bearer from-file"


CREDENTIALS = ["creds", "aws", "arn:aws:s3:::acme/x/*"]


@pytest.mark.usefixtures("server")
def test_credentials_are_what_credential_process_expects(command: Command) -> None:
    assert json.loads(command(*CREDENTIALS).out) == {
        "Version": 1,
        "AccessKeyId": "AKIA",
        "SecretAccessKey": "s3cr3t",
        "SessionToken": "t0k'3n",
        "Expiration": "2026-01-02T03:04:05Z",
    }


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for kept sessions."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def _lasting() -> credential_service_pb2.IssueAwsCredentialsResponse:
    lasting = credential_service_pb2.IssueAwsCredentialsResponse()
    lasting.CopyFrom(AWS)
    lasting.expire_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    return lasting


def test_a_session_is_kept_until_the_sign_out(command: Command, server: ScriptedServer, runtime: Path) -> None:
    server.script["IssueAwsCredentials"] = lambda _: _lasting()
    first = command(*CREDENTIALS)
    assert (command(*CREDENTIALS).out, len(server.seen)) == (first.out, 1)
    assert len(list(runtime.rglob("*.json"))) == 1

    command("logout")

    assert list(runtime.rglob("*.json")) == []
    command(*CREDENTIALS)
    assert len(server.seen) == 2


def test_what_was_kept_is_gone_once_a_lease_is_revoked(command: Command, server: ScriptedServer, runtime: Path) -> None:
    server.script["IssueAwsCredentials"] = lambda _: _lasting()
    command(*CREDENTIALS)
    assert len(list(runtime.rglob("*.json"))) == 1

    assert command("leases", "revoke", "0" * 32).code == 0

    assert list(runtime.rglob("*.json")) == []


@pytest.mark.parametrize("more", [["--no-cache"], ["--format", "env"], ["--format", "json"], ["--format", "profile"]])
def test_only_credential_process_has_a_cache(
    command: Command, server: ScriptedServer, runtime: Path, more: list[str]
) -> None:
    server.script["IssueAwsCredentials"] = lambda _: _lasting()
    for _ in range(2):
        assert command(*CREDENTIALS, *more).code == 0

    assert len(server.seen) == 2
    assert list(runtime.rglob("*.json")) == []


def test_what_was_kept_for_a_token_is_not_given_once_it_has_expired(
    command: Command, server: ScriptedServer, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script["IssueAwsCredentials"] = lambda _: _lasting()
    for life, asked in ((60, 1), (60, 1), (-60, 2)):
        claims = json.dumps({"iss": "i", "sub": "s", "exp": time.time() + life}).encode()
        middle = base64.urlsafe_b64encode(claims).decode().rstrip("=")
        monkeypatch.setenv("PENSTOCK_TOKEN", f"e30.{middle}.sig")
        assert command(*CREDENTIALS).code == 0
        assert len(server.seen) == asked
    assert len(list(runtime.rglob("*.json"))) == 1


@pytest.mark.usefixtures("server")
def test_credentials_for_a_shell_are_quoted(command: Command) -> None:
    lines = command(*CREDENTIALS, "--format", "env").out.splitlines()

    assert "export AWS_SECRET_ACCESS_KEY=s3cr3t" in lines
    assert "export AWS_SESSION_TOKEN='t0k'\"'\"'3n'" in lines
    assert "export AWS_REGION=eu-west-1" in lines
    assert "export PGPASSWORD='p'\"'\"'w'" in command("creds", "redshift", "analytics", "--format", "env").out


@pytest.mark.usefixtures("server")
def test_credentials_for_a_profile_are_a_section(command: Command) -> None:
    assert command("--profile", "bob", *CREDENTIALS, "--format", "profile").out == (
        "[penstock-bob]\naws_access_key_id = AKIA\naws_secret_access_key = s3cr3t\n"
        "aws_session_token = t0k'3n\nregion = eu-west-1\n"
    )


def test_what_is_asked_for_goes_to_the_credential_door(command: Command, server: ScriptedServer) -> None:
    command(
        *CREDENTIALS, "arn:aws:s3:::acme/y", "--access", "read", "--access", "list", "--ttl", "30m", "--purpose", "p"
    )

    request = server.seen[0].request
    assert list(request.resources) == ["arn:aws:s3:::acme/x/*", "arn:aws:s3:::acme/y"]
    assert list(request.access) == [credential_service_pb2.AWS_ACCESS_READ, credential_service_pb2.AWS_ACCESS_LIST]
    assert (request.ttl.seconds, request.purpose) == (1800, "p")


@pytest.mark.usefixtures("server")
def test_a_login_is_printed_for_people(command: Command) -> None:
    out = command("creds", "redshift", "analytics").out

    assert "user       IAM:pk_alice\n" in out
    assert "host       h:5439\n" in out


REFUSALS = {
    "no token": (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", 4),
    "denied": (grpc.StatusCode.PERMISSION_DENIED, "LOCATION_CLOSED", 3),
    "unknown or hidden": (grpc.StatusCode.NOT_FOUND, "TABLE_NOT_FOUND", 1),
    "a field": (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", 2),
    "a statement": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_SYNTAX", 1),
    "a limit": (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUERY_TIMEOUT", 1),
    "unavailable": (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST", 1),
    "internal": (grpc.StatusCode.INTERNAL, "INTERNAL", 1),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize(("method", "arguments"), [("ExecuteQuery", ["query", "x"]), ("WhoAmI", ["whoami"])])
def test_a_refusal_is_one_sentence_a_hint_and_a_request_id(
    command: Command,
    server: ScriptedServer,
    refusal: tuple[grpc.StatusCode, str, int],
    method: str,
    arguments: list[str],
) -> None:
    status, reason, code = refusal

    def refuse(_: object) -> object:
        violation = error_details_pb2.BadRequest.FieldViolation(field="ttl", description="is longer")
        fields = [error_details_pb2.BadRequest(field_violations=[violation])] if reason == "INVALID_FIELD" else []
        details = status_bytes(status, "the reason", error_info(reason, hint="the hint"), *fields)
        raise Refusal(code=status, status=details)

    server.script[method] = refuse

    ran = command(*arguments)

    assert ran.code == code
    assert ran.out == ""
    assert ran.err == "error: the reason\nhint: the hint\nrequest id: req-1\n"


def test_a_message_cannot_move_the_terminal(command: Command, server: ScriptedServer) -> None:
    def refuse(_: object) -> object:
        code = grpc.StatusCode.NOT_FOUND
        raise Refusal(code=code, status=status_bytes(code, "no `\x1b[2J`", error_info("TABLE_NOT_FOUND", hint="a\nb")))

    server.script["ExecuteQuery"] = refuse

    assert command("query", "x").err == "error: no `\\x1b[2J`\nhint: a\\nb\nrequest id: req-1\n"


def test_values_cannot_move_the_terminal(command: Command, server: ScriptedServer) -> None:
    hostile = pa.table({"a\x1b[1m": ["\x1b]0;x\x07", "a\nb"]})
    server.script["ExecuteQuery"] = lambda _: answer(hostile)

    out = command("query", "x").out

    assert "\x1b" not in out
    assert "\x07" not in out
    assert "a\\nb" in out


@pytest.mark.parametrize("name", ["answer.csv", "answer.parquet", "answer.json", "answer.arrow", "answer.txt"])
def test_an_answer_that_ends_early_leaves_no_file(
    command: Command, server: ScriptedServer, tmp_path: Path, name: str
) -> None:
    server.script["ExecuteQuery"] = lambda _: answer(TABLE)[:-1]

    ran = command("query", "x", "--output", str(tmp_path / name))

    assert ran.code == 1
    assert ran.err.startswith("error: the answer ended before it was complete\n")
    assert list(tmp_path.glob("*answer*")) == []


def _parquet(raw: bytes) -> object:
    return pyarrow.parquet.read_table(io.BytesIO(raw))


def _whole_stream(raw: bytes) -> object:
    assert raw.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00"), "no end-of-stream mark"
    return pa.ipc.open_stream(raw).read_all()


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("parquet", _parquet), ("arrow", _whole_stream)])
@pytest.mark.parametrize("end", [0, -1])
def test_half_an_answer_on_standard_output_is_no_document(
    server: ScriptedServer, capfdbinary: pytest.CaptureFixture[bytes], form: str, read: Callable[[bytes], Any], end: int
) -> None:
    """A Parquet writer adds its footer when it is collected, which would make a valid file of half an answer."""
    whole = answer(TABLE)
    server.script["ExecuteQuery"] = lambda _: whole[: len(whole) + end]

    code = run(["query", "x", "--format", form])
    gc.collect()
    raw = capfdbinary.readouterr().out

    if end:
        assert code == 1
        with pytest.raises((ValueError, AssertionError, pa.ArrowInvalid)):
            read(raw)
    else:
        assert code == 0
        read(raw)


def test_an_answer_that_ends_early_never_ends_with_its_count(command: Command, server: ScriptedServer) -> None:
    server.script["ExecuteQuery"] = lambda _: answer(TABLE)[:-1]

    ran = command("query", "x")

    assert ran.code == 1
    assert "rows;" not in ran.out


def test_a_broker_that_cannot_be_reached_is_an_ordinary_error(command: Command, server: ScriptedServer) -> None:
    ran = command("--server", "127.0.0.1:1", "whoami")

    assert ran.code == 1
    assert ran.err.startswith("error: the server cannot be reached\n")
    assert server.seen == []


USAGE = {
    "an unknown command": ["nope"],
    "an unknown option": ["whoami", "--nope"],
    "no statement": ["query"],
    "two statements": ["query", "select 1", "-f", "x.sql"],
    "an unknown format": ["query", "x", "--format", "xml"],
    "a span that is none": ["query", "x", "--timeout", "soon"],
    "a span of nothing": ["query", "x", "--timeout", "0"],
    "a parameter that is none": ["query", "x", "--param", "date:soon"],
    "no resource": ["creds", "aws"],
    "no scope to run with": ["exec", "--", "true"],
    "nothing to run": ["exec", "--scope", "a"],
    "nothing to serve": ["agent"],
    "a process that is none": ["agent", "a", "--until", "0"],
    "a profile that reaches nothing": ["configure", "lake"],
    "a profile to remove, with a resource": ["configure", "lake", "a", "--remove"],
    "an unknown access": ["creds", "aws", "a", "--access", "delete"],
    "no table to explain": ["explain"],
    "a table and a statement to explain": ["explain", "nyc.flights", "--query", "select 1"],
    "a catalog without a statement": ["explain", "nyc.flights", "--catalog", "lake"],
    "a group of nobody": ["explain", "nyc.flights", "--group", "ops"],
    "a group to explain for": ["explain", "nyc.flights", "--as", "group:ops"],
    "an attribute without a value": ["explain", "nyc.flights", "--as", "user:bob", "--attribute", "team"],
    "a profile that is no name": ["--profile", "a b", "whoami"],
    "a server that is none": ["--server", "https://x", "whoami"],
    "an unknown shell": ["completion", "tcsh"],
    "an authority that is not there": ["--ca", "/nonexistent", "whoami"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_wrong_usage_is_two_and_reaches_no_server(
    command: Command, server: ScriptedServer, arguments: list[str]
) -> None:
    ran = command(*arguments)

    assert ran.code == 2
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert server.seen == []


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["doctor", "--help"],
    ],
)
def test_what_this_version_lacks_says_so(command: Command, arguments: list[str]) -> None:
    ran = command(*arguments)

    assert ran.code == 2
    assert "is not available in this version" in ran.err


def test_what_this_version_lacks_is_not_in_the_help(command: Command) -> None:
    out = command("--help").out + command("leases", "--help").out + command("explain", "--help").out

    assert [name for name in ("doctor",) if name in out] == []


def test_a_file_with_a_statement_that_is_not_there_is_named(command: Command, server: ScriptedServer) -> None:
    ran = command("query", "-f", "/nonexistent.sql")

    assert ran.code == 1
    assert ran.err == "error: `/nonexistent.sql`: No such file or directory\n"
    assert server.seen == []


def test_a_statement_that_is_no_text_is_wrong_usage(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "statement.sql"
    file.write_bytes(b"select '\xff'")

    assert command("query", "-f", str(file)).code == 2


def test_a_configuration_with_a_mistake_names_its_line(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "config" / "penstock" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("srever: x\n", encoding="utf-8")

    ran = command("whoami")

    assert ran.code == 2
    assert f"{file}:1" in ran.err


def test_without_a_server_the_way_to_name_one_is_told(command: Command) -> None:
    ran = command("whoami")

    assert ran.code == 2
    assert "penstock login HOST" in ran.err


def test_without_a_sign_in_the_code_is_four(command: Command) -> None:
    ran = command("--server", "127.0.0.1:1", "whoami")

    assert ran.code == 4
    assert "penstock login" in ran.err


def test_a_fault_of_the_command_shows_neither_traceback_nor_text(
    command: Command, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> object:
        raise RuntimeError("holds the token hunter2")

    monkeypatch.setattr("penstock.cli.signing_in.print_members", fail)

    ran = command("whoami")

    assert ran.code == 1
    assert ran.err.startswith("error: penstock itself failed: RuntimeError at test_command.py:")
    assert "hunter2" not in ran.err
    assert len(server.seen) == 1


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_completion_script_completes_this_command(command: Command, shell: str) -> None:
    ran = command("completion", shell)

    assert ran.code == 0
    assert "_PENSTOCK_COMPLETE" in ran.out


def test_the_script_really_completes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PENSTOCK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "penstock des")
    monkeypatch.setenv("COMP_CWORD", "1")

    assert command().out.split() == ["describe"]


def test_version_needs_neither_server_nor_configuration(command: Command) -> None:
    assert command("version").out.startswith("penstock ")


def test_an_answer_of_many_rows_is_printed_whole(command: Command, server: ScriptedServer) -> None:
    table = pa.table({"n": list(range(2500))})
    server.script["ExecuteQuery"] = lambda _: answer(table, batches=3)

    lines = command("query", "x").out.splitlines()

    assert [line.strip() for line in lines if line.strip().isdigit()] == [str(n) for n in range(2500)]
    assert lines[-1].startswith("2,500 rows; ")


def test_a_long_value_is_never_cut(command: Command, server: ScriptedServer) -> None:
    server.script["ExecuteQuery"] = lambda _: answer(pa.table({"a": ["x" * 5000]}))

    assert "x" * 5000 in command("query", "x").out


def test_a_statement_waits_for_no_other(command: Command, server: ScriptedServer) -> None:
    release = threading.Event()
    release.set()

    assert command("query", "x", "--timeout", "500ms").code == 0
    assert server.seen[0].request.timeout.ToMilliseconds() == 500
