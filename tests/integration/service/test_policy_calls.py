"""ValidatePolicy, PlanPolicy and ReloadPolicy: for administrators, from what is sent alone, and never in force."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import penstock
import pytest
from penstock.v1 import policy_service_pb2
from support.calls import Client, client, refusal
from support.server import ServerProcess, running_server
from support.small_lake import POLICY, token_for
from support.trail import details, of_request, records

MIB = 1024 * 1024
CALLS = {
    "ValidatePolicy": policy_service_pb2.ValidatePolicyRequest,
    "PlanPolicy": policy_service_pb2.PlanPolicyRequest,
    "ReloadPolicy": policy_service_pb2.ReloadPolicyRequest,
}
EVENTS = {"ValidatePolicy": "policy.validated", "PlanPolicy": "policy.planned", "ReloadPolicy": "policy.reloaded"}
RULES = """\
row_rules:
  - resource: lake.nyc.numbers
    name: texts
    rules: {{file: {file}}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("policies")) as running:
        yield running


@pytest.fixture
def dave(server: ServerProcess) -> Iterator[Client]:
    """The administrator."""
    with client(server.address, token_for("dave")) as caller:
        yield caller


def files(**texts: str | bytes) -> list[policy_service_pb2.PolicyFile]:
    return [
        policy_service_pb2.PolicyFile(
            path=name.replace("__", "/").replace("_", "."), content=text.encode() if isinstance(text, str) else text
        )
        for name, text in texts.items()
    ]


def file(path: str, content: bytes = b"version: 1\n") -> policy_service_pb2.PolicyFile:
    return policy_service_pb2.PolicyFile(path=path, content=content)


def validate(caller: Client, sent: list[policy_service_pb2.PolicyFile]) -> policy_service_pb2.ValidatePolicyResponse:
    answer: policy_service_pb2.ValidatePolicyResponse = caller.call(
        caller.policy.ValidatePolicy, policy_service_pb2.ValidatePolicyRequest(files=sent)
    )
    return answer


def plan(caller: Client, sent: list[policy_service_pb2.PolicyFile]) -> policy_service_pb2.PlanPolicyResponse:
    answer: policy_service_pb2.PlanPolicyResponse = caller.call(
        caller.policy.PlanPolicy, policy_service_pb2.PlanPolicyRequest(files=sent)
    )
    return answer


@pytest.mark.parametrize("user", ["alice", "bob", "carol", "mallory"])
@pytest.mark.parametrize("call", CALLS)
def test_only_administrators_may(server: ServerProcess, user: str, call: str) -> None:
    with client(server.address, token_for(user)) as caller:
        told = caller.refused(getattr(caller.policy, call), CALLS[call]())
    assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
    [record] = of_request(server.folder, told.request_id)
    assert (record["event"], record["outcome"], record["subject"]) == (EVENTS[call], "refused", user)


@pytest.mark.parametrize("call", CALLS)
def test_nobody_may_without_a_token(server: ServerProcess, call: str) -> None:
    with client(server.address, None) as nobody:
        assert nobody.refused(getattr(nobody.policy, call), CALLS[call]()).reason == "UNAUTHENTICATED"


def test_a_refused_caller_is_told_nothing_of_the_policy_that_was_sent(server: ServerProcess) -> None:
    told = []
    with client(server.address, token_for("alice")) as alice:
        for text in (POLICY, "version: 2\n", "x" * (2 * MIB)):
            request = policy_service_pb2.PlanPolicyRequest(files=files(nyc_yaml=text))
            told.append(alice.refused(alice.policy.PlanPolicy, request).without_request_id())
    assert told[0] == told[1] == told[2]


def test_a_good_policy_is_valid_and_not_in_force(server: ServerProcess, dave: Client) -> None:
    before = dave.call(dave.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest())
    answer = validate(dave, files(nyc_yaml=POLICY))
    assert not answer.problems
    assert answer.policy_version == before.policy_version
    other = validate(dave, files(nyc_yaml=POLICY.replace("JFK", "LGA")))
    assert other.policy_version not in {"", before.policy_version}
    assert dave.call(dave.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest()) == before
    last = [record for record in records(server.folder) if record["event"] == "policy.validated"][-1]
    assert details(last)["draft_version"] == other.policy_version
    assert last["policy_version"] == before.policy_version


def test_everything_that_is_wrong_is_told_with_its_place(dave: Client) -> None:
    text = POLICY.replace("lake.nyc.weather", "lake.nyc.wether").replace("[delay]", "[dely]")
    answer = validate(dave, files(folder__nyc_yaml=text))
    assert answer.policy_version == ""
    lines = text.splitlines()
    assert {(problem.path, lines[problem.line - 1].strip()) for problem in answer.problems} == {
        ("folder/nyc.yaml", "resource: lake.nyc.wether"),
        ("folder/nyc.yaml", "columns: {exclude: [dely]}"),
    }
    assert all("`" in problem.description for problem in answer.problems)


def test_rules_datasets_go_along(dave: Client) -> None:
    text = POLICY + RULES.format(file="rules/numbers.csv")
    answer = validate(dave, files(p__nyc_yaml=text, p__rules__numbers_csv="GroupName,text\nanalysts,row 1\n"))
    assert not answer.problems
    broken = validate(dave, files(p__nyc_yaml=text, p__rules__numbers_csv="GroupName,txt\nanalysts,row 1\n"))
    assert [(problem.path, problem.line) for problem in broken.problems] == [("p/rules/numbers.csv", 1)]


QUERY = """\
row_rules:
  - resource: lake.nyc.numbers
    name: texts
    rules: {{query: "{sql}", catalog: lake, refresh: 5m}}
"""


def test_the_rules_queries_of_a_draft_are_asked_as_a_load_would(dave: Client) -> None:
    good = QUERY.format(sql="select 'analysts' as GroupName, name as text from nyc.airlines")
    assert not validate(dave, files(nyc_yaml=POLICY + good)).problems
    answer = plan(dave, files(nyc_yaml=POLICY + good))
    assert answer.verdict == policy_service_pb2.POLICY_VERDICT_NARROWING
    assert [subject.name for subject in answer.subjects] == ["lake.nyc.numbers"]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select 'analysts' as GroupName, content as text from read_text('/proc/self/environ')",
        "copy nyc.airlines to '/tmp/x'",
        "select name from nyc.salaries",
    ],
)
def test_a_rules_query_of_a_draft_reaches_tables_only_and_tells_no_cell(dave: Client, sql: str) -> None:
    answer = validate(dave, files(nyc_yaml=POLICY + QUERY.format(sql=sql)))
    assert answer.policy_version == ""
    assert [problem.path for problem in answer.problems] == ["nyc.yaml"]
    assert "eve" not in answer.problems[0].description.split()
    assert "root:" not in answer.problems[0].description


def test_a_plan_tells_who_would_see_more(dave: Client) -> None:
    answer = plan(dave, files(nyc_yaml=POLICY.replace("origin = 'JFK'", "origin <> 'EWR'")))
    assert answer.verdict == policy_service_pb2.POLICY_VERDICT_WIDENING
    [subject] = answer.subjects
    assert (subject.kind, subject.name) == ("table", "lake.nyc.flights")
    gains = [gain for one in subject.classes for gain in one.gains]
    assert any(fact.name == "origin" for gain in gains for fact in gain.witness.row)
    assert [group for gain in gains for group in gain.witness.groups] == ["analysts"] * len(gains)
    assert gains[0].sentence in answer.text
    assert answer.text.splitlines()[-1].startswith("WIDENING")
    assert answer.new_policy_version != answer.old_policy_version


def test_a_plan_of_the_policy_in_force_is_the_same(dave: Client) -> None:
    answer = plan(dave, files(other_yml=POLICY))
    assert answer.verdict == policy_service_pb2.POLICY_VERDICT_SAME
    assert answer.old_policy_version == answer.new_policy_version


def test_a_plan_sees_columns_that_are_to_come(dave: Client) -> None:
    include = "{include: [flight, origin, carrier, tail]}"
    answer = plan(dave, files(nyc_yaml=POLICY.replace("{exclude: [delay]}", include)))
    assert answer.verdict == policy_service_pb2.POLICY_VERDICT_NARROWING
    assert "columns that are added later" in answer.text


def test_a_policy_that_cannot_be_loaded_has_no_plan(server: ServerProcess, dave: Client) -> None:
    request = policy_service_pb2.PlanPolicyRequest(files=files(nyc_yaml=POLICY.replace("[delay]", "[dely]")))
    told = dave.refused(dave.policy.PlanPolicy, request)
    assert told.reason == "INVALID_FIELD"
    [(field, rule)] = told.fields
    assert field == "files"
    assert rule.startswith("nyc.yaml:")
    [record] = of_request(server.folder, told.request_id)
    assert (record["event"], record["outcome"]) == ("policy.planned", "refused")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd.yaml",
        "../policies/nyc.yaml",
        "a/../nyc.yaml",
        "a/./nyc.yaml",
        "a//nyc.yaml",
        ".hidden.yaml",
        "a/.git/nyc.yaml",
        "",
        "nyc.yaml/",
        "a\\nyc.yaml",
        "c:nyc.yaml",
        "nyc\0.yaml",
        "nyc\n.yaml",
        "x" * 251 + ".yaml",
    ],
)
def test_names_that_are_more_than_names_are_refused(dave: Client, path: str) -> None:
    for call, kind in (
        (dave.policy.ValidatePolicy, CALLS["ValidatePolicy"]),
        (dave.policy.PlanPolicy, CALLS["PlanPolicy"]),
    ):
        told = dave.refused(call, kind(files=[file("good.yaml"), file(path)]))
        assert (told.reason, told.fields[0][0]) == ("INVALID_FIELD", "files[1].path")


@pytest.mark.parametrize(
    ("number", "field"), [(0, "files"), (1_001, "files"), (2, "files[1].path")], ids=["none", "too many", "one twice"]
)
def test_the_number_of_files_is_bounded_and_names_are_unique(dave: Client, number: int, field: str) -> None:
    sent = [file("same.yaml" if number == 2 else f"{one}.yaml") for one in range(number)]
    told = dave.refused(dave.policy.ValidatePolicy, policy_service_pb2.ValidatePolicyRequest(files=sent))
    assert (told.reason, told.fields[0][0]) == ("INVALID_FIELD", field)


def test_no_name_in_a_request_reads_a_file_of_the_server(server: ServerProcess, dave: Client, tmp_path: Path) -> None:
    """A policy may name rules datasets; those of the server, and anything else on its disk, are out of reach."""
    secret = tmp_path / "numbers.csv"
    secret.write_text("GroupName,text\nanalysts,row 1\n")
    beside = server.folder / "policies" / "beside.csv"
    beside.write_text(secret.read_text())
    (server.folder / "policies" / "link.csv").symlink_to(secret)
    for name in (
        str(secret),
        str(beside),
        "beside.csv",
        "policies/beside.csv",
        "link.csv",
        f"../../../../../../../../..{secret}",
        "/etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
        "nyc.yaml/../beside.csv",
    ):
        answer = validate(dave, files(nyc_yaml=POLICY + RULES.format(file=name)))
        assert answer.policy_version == "", name
        [problem] = answer.problems
        assert "is not among the files that were sent" in problem.description
        assert "row 1" not in problem.description


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 1\na: &a [x]\nb: *a\n", "anchors are not accepted"),
        ("version: 1\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)), "not accepted"),
        ("[" * 5_000, "nested deeper"),
        ("version: 1\nversion: 1\n", "duplicate key"),
        ("!!python/object/apply:os.system ['true']\n", "tags are not accepted"),
        ("version: 1\n---\nversion: 1\n", "several documents"),
        ("\ufeffversion: 1\n", "byte order mark"),
        (b"version: 1 # \xff\n", "is not UTF-8"),
        ("version: 1\x00\n", "U+0000"),
        ("version: 1\ngrants: " + "9" * 100_000, "number that is too long"),
        ("", "is empty"),
    ],
    ids=["alias", "bomb", "deep", "twice", "tag", "documents", "bom", "bytes", "nul", "number", "empty"],
)
def test_hostile_files_are_problems_and_no_more(dave: Client, text: str | bytes, says: str) -> None:
    answer = validate(dave, files(nyc_yaml=text))
    assert answer.policy_version == ""
    assert any(says in problem.description for problem in answer.problems)
    told = dave.refused(dave.policy.PlanPolicy, policy_service_pb2.PlanPolicyRequest(files=files(nyc_yaml=text)))
    assert told.reason == "INVALID_FIELD"


def test_a_policy_of_two_mebibytes_is_taken_and_one_beyond_three_is_refused(dave: Client) -> None:
    padded = POLICY + "# a comment\n" * (2 * MIB // 12)
    assert not validate(dave, files(nyc_yaml=padded)).problems
    told = dave.refused(
        dave.policy.ValidatePolicy,
        policy_service_pb2.ValidatePolicyRequest(files=files(nyc_yaml=b"#" * (3 * MIB + 100))),
    )
    assert told.fields == (("request", "at most 3 MiB"),)


def test_ten_mebibytes_never_reach_the_service(server: ServerProcess, dave: Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        validate(dave, files(nyc_yaml=b"#" * (10 * MIB)))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.is_serving()


def test_a_reload_by_call_says_how_it_ended(server: ServerProcess, dave: Client) -> None:
    path = server.folder / "policies" / "nyc.yaml"
    before = dave.call(dave.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest()).policy_version
    try:
        path.write_text("version: 2\n")
        answer = dave.call(dave.policy.ReloadPolicy, policy_service_pb2.ReloadPolicyRequest())
        assert (answer.loaded, answer.policy_version) == (False, before)
        assert (answer.problems[0].path, answer.problems[0].line) == (str(path), 1)
        told: Any = dave.call(dave.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest())
        assert told.reload_failed
        assert told.reload_problems == answer.problems
        with client(server.address, token_for("alice")) as alice:
            told = alice.call(alice.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest())
        assert told.reload_failed
        assert not told.reload_problems
    finally:
        path.write_text(POLICY)
    answer = dave.call(dave.policy.ReloadPolicy, policy_service_pb2.ReloadPolicyRequest())
    assert (answer.loaded, answer.policy_version, list(answer.problems)) == (True, before, [])


def test_a_file_whose_name_is_no_text_is_told_like_any_other(server: ServerProcess, dave: Client) -> None:
    odd = server.folder / "policies" / os.fsdecode(b"\xff.yaml")
    try:
        odd.write_text("version: 2\n")
        answer = dave.call(dave.policy.ReloadPolicy, policy_service_pb2.ReloadPolicyRequest())
        assert [problem.path for problem in answer.problems] == [str(odd.with_name("\\udcff.yaml"))]
        told: Any = dave.call(dave.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest())
        assert told.reload_problems == answer.problems
    finally:
        odd.unlink()
    assert dave.call(dave.policy.ReloadPolicy, policy_service_pb2.ReloadPolicyRequest()).loaded


def test_the_client_validates_plans_and_reloads(server: ServerProcess) -> None:
    with penstock.connect(server.address, token=token_for("dave")) as broker:
        good = broker.policy.validate(server.folder / "policies" / "nyc.yaml")
        assert good.valid
        assert good.policy_version == broker.policy.version().policy_version
        bad = broker.policy.validate({"nyc.yaml": "version: 2\n"})
        assert not bad.valid
        assert str(bad.problems[0]).startswith("nyc.yaml:1: ")
        change = broker.policy.plan({"nyc.yaml": POLICY.replace("    columns: {exclude: [delay]}\n", "")})
        assert change.verdict is penstock.PolicyVerdict.WIDENING
        assert not change.safe
        assert "delay" in str(change)
        assert broker.policy.plan(server.folder / "policies").safe
        assert broker.policy.reload().loaded
    with penstock.connect(server.address, token=token_for("alice")) as broker, pytest.raises(penstock.AccessDenied):
        broker.policy.reload()


def test_a_caller_who_gives_up_frees_the_way_for_the_next(dave: Client) -> None:
    request = policy_service_pb2.PlanPolicyRequest(files=files(nyc_yaml=POLICY.replace("JFK", "LGA")))
    for _ in range(20):
        with refusal() as told:
            dave.call(dave.policy.PlanPolicy, request, seconds=0.001)
        assert told[0].code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert validate(dave, files(nyc_yaml=POLICY)).policy_version
