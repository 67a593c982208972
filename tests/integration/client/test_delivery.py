"""AWS sessions delivered to real programs: a real server, a real sign-in, boto3, and a stand-in for AWS.

The stand-in answers whoever asks: what is shown is which credentials a program uses, not that AWS would refuse others.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import penstock
import pytest
from penstock.login import Cached
from support.household import Command, Household
from support.server import wait_until

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
EXPORTS = "arn:aws:s3:::acme-lake/exports/*"
CLOSED = "arn:aws:s3:::acme-lake/curated/*"

# Prints where the credentials come from, and reads an object with them.
READS = textwrap.dedent(
    """
    import boto3, json, sys
    session = boto3.Session(profile_name=sys.argv[1] if len(sys.argv) > 1 else None)
    found = session.get_credentials()
    body = session.client("s3").get_object(Bucket="acme-lake", Key="exports/2013/summary.csv")["Body"].read()
    print(json.dumps([found.method, found.access_key, session.region_name, body.decode()]))
    """
)


@pytest.fixture
def environ(household: Household, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of alice's shell, which is this process's too: a runtime folder, and AWS at the stand-in."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    own = {name: value for name, value in household.environ.items() if not name.startswith("AWS_")}
    shell = {
        **own,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PENSTOCK_SERVER": household.server,
        "PENSTOCK_PROFILE": "alice",
        "XDG_RUNTIME_DIR": str(runtime),
        "AWS_CONFIG_FILE": str(tmp_path / "aws-config"),
        "AWS_ENDPOINT_URL": household.aws_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in [*(each for each in os.environ if each.startswith("AWS_")), "PENSTOCK_TOKEN"]:
        monkeypatch.delenv(name, raising=False)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    return shell


def _run(environ: Mapping[str, str], *arguments: str, code: int = 0, timeout: float = 60) -> str:
    done = subprocess.run(
        arguments,
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def _session(command: Command, *more: str) -> dict[str, Any]:
    ran = command("creds", "aws", *more, EXPORTS)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


@pytest.mark.usefixtures("environ")
def test_a_session_is_kept_for_the_next_process(command: Command, tmp_path: Path) -> None:
    first = _session(command)

    assert set(first) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert first["Version"] == 1
    assert _session(command) == first
    assert _session(command, "--no-cache") != first
    assert _session(command, "--purpose", "other") != first
    assert _session(command, "--profile", "bob") != first
    assert _session(command) == first
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "run").rglob("*") if each.is_file()} == {0o600}


@pytest.mark.slow
def test_processes_at_once_ask_for_one_session(environ: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: _run(environ, PENSTOCK, "creds", "aws", EXPORTS), range(4)))

    assert len(found) == 1


@pytest.mark.usefixtures("environ")
def test_a_refusal_is_told_and_nothing_is_kept(command: Command, tmp_path: Path) -> None:
    ran = command("creds", "aws", CLOSED)

    assert (ran.code, ran.out) == (3, "")
    assert list((tmp_path / "run").rglob("*.json")) == []


@pytest.mark.usefixtures("environ")
def test_a_runtime_folder_that_others_may_enter_is_told_and_not_used(command: Command, tmp_path: Path) -> None:
    (tmp_path / "run").chmod(0o755)
    ran = command("creds", "aws", EXPORTS)

    assert json.loads(ran.out)["Version"] == 1
    assert ran.err.startswith("not cached: ")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_profile_lets_boto3_ask_this_command(environ: dict[str, str], command: Command, tmp_path: Path) -> None:
    mine = "[default]\naws_access_key_id = theirs\naws_secret_access_key = theirs\n"
    (tmp_path / "aws-config").write_text(mine)
    assert command("configure", "lake", EXPORTS, "--region", "us-east-1").code == 0

    method, key, region, body = json.loads(_run(environ, sys.executable, "-c", READS, "lake"))

    assert (method, region, body) == ("custom-process", "us-east-1", "stand-in")
    assert key == _session(command)["AccessKeyId"]
    assert command("configure", "lake", "--remove").code == 0
    assert (tmp_path / "aws-config").read_text() == mine


@pytest.mark.usefixtures("environ")
def test_a_profile_holds_no_token(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TOKEN", "h.u.nter2")
    ran = command("configure", "lake", EXPORTS)

    assert ran.code == 2
    assert "nter2" not in ran.err
    assert not (tmp_path / "aws-config").exists()


def test_a_program_runs_with_the_session_and_nothing_else(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "aws-config").write_text("[profile mine]\naws_access_key_id = x\naws_secret_access_key = x\n")
    ambient = {**environ, "AWS_PROFILE": "mine", "AWS_ROLE_ARN": "x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/x"}

    out = _run(ambient, PENSTOCK, "exec", "--scope", EXPORTS, "--", sys.executable, "-c", READS)

    method, key, region, body = json.loads(out)
    assert (method, region, body) == ("env", "us-east-1", "stand-in")
    assert key.startswith("ASIA")


def test_with_refresh_a_program_asks_the_endpoint(environ: dict[str, str]) -> None:
    out = _run(environ, PENSTOCK, "exec", "--refresh", "--scope", EXPORTS, "--", sys.executable, "-c", READS)

    assert json.loads(out)[0] == "container-role"


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--refresh"]])
def test_the_exit_code_is_the_programs(environ: dict[str, str], how: list[str]) -> None:
    _run(environ, PENSTOCK, "exec", *how, "--scope", EXPORTS, "--", "sh", "-c", "exit 7", code=7)


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--refresh"]])
def test_a_program_that_is_none_is_told_as_shells_do(environ: dict[str, str], how: list[str], tmp_path: Path) -> None:
    exec_it = (PENSTOCK, "exec", *how, "--scope", EXPORTS, "--")

    assert "No such file" in _run(environ, *exec_it, "no-such-program", code=127)
    (tmp_path / "text").write_text("")
    assert "Permission denied" in _run(environ, *exec_it, str(tmp_path / "text"), code=126)


WAITS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
print(sorted(int(each) for each in os.listdir("/proc/self/fd"))[:-1], flush=True)
print(signal.getsignal(signal.SIGPIPE).name, flush=True)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--refresh"]])
def test_signals_reach_the_program_which_inherits_nothing(environ: dict[str, str], how: list[str]) -> None:
    command = [PENSTOCK, "exec", *how, "--scope", EXPORTS, "--", sys.executable, "-S", "-c", WAITS]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        descriptors = process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 42

    assert descriptors == "[0, 1, 2]\n"


@pytest.mark.slow
def test_a_program_that_a_signal_ended_has_the_code_of_shells(environ: dict[str, str]) -> None:
    _run(environ, PENSTOCK, "exec", "--refresh", "--scope", EXPORTS, "--", "sh", "-c", "kill -KILL $$", code=137)


class Agent:
    """A running `penstock agent`."""

    def __init__(self, environ: Mapping[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [PENSTOCK, "agent", *arguments, EXPORTS],
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        # All of it: standard output is closed once both are told.
        lines = self.process.stdout.read().splitlines()
        self.variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)

    @property
    def url(self) -> str:
        return self.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]

    def ask(self, **headers: str) -> int:
        """Ask as a program does, with more headers; gives the status."""
        right = {"Authorization": self.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url, headers={**right, **headers}), timeout=30
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return int(error.code)


@pytest.fixture
def agent(environ: dict[str, str]) -> Iterator[Agent]:
    running = Agent(environ)
    yield running
    running.process.kill()
    running.process.communicate()


def test_an_agent_serves_boto3_and_nobody_without_its_token(environ: dict[str, str], agent: Agent) -> None:
    method, key, _, body = json.loads(_run({**environ, **agent.variables}, sys.executable, "-c", READS))

    assert set(agent.variables) == {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"}
    assert (method, key[:4], body) == ("container-role", "ASIA", "stand-in")
    assert agent.ask() == 200
    assert agent.ask(Authorization="x") == 401
    assert agent.ask(Origin="https://evil.example") == 403
    assert agent.ask(Host="evil.example") == 403
    lines = _command_lines()
    assert any(b"agent" in line for line in lines)
    assert [line for line in lines if agent.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"].encode() in line] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_an_agent(agent: Agent, number: signal.Signals) -> None:
    agent.process.send_signal(number)

    assert agent.process.wait(20) == 0


@pytest.mark.slow
def test_an_agent_ends_with_the_shell_that_evaluates_it(environ: dict[str, str]) -> None:
    script = (
        f'eval "$({PENSTOCK} agent --until $$ {EXPORTS} 2>/dev/null &)"; '
        f"{sys.executable} -c {_quoted(READS)}; echo $AWS_CONTAINER_CREDENTIALS_FULL_URI"
    )
    read, url = _run(environ, "bash", "-c", script).splitlines()

    assert json.loads(read)[0] == "container-role"
    wait_until(lambda: not _listens(url), seconds=20, what="the agent has ended with its shell")


@pytest.mark.slow
def test_an_agent_ends_with_its_parent(environ: dict[str, str]) -> None:
    script = f"{PENSTOCK} agent {EXPORTS} 2>/dev/null > variables & while ! [ -s variables ]; do sleep 0.05; done"
    _run(environ, "bash", "-c", f"cd $XDG_RUNTIME_DIR; {script}")
    told = Path(environ["XDG_RUNTIME_DIR"], "variables").read_text()

    url = told.split("\n")[0].partition("=")[2]
    wait_until(lambda: not _listens(url), seconds=20, what="the agent has ended with its parent")


@pytest.mark.usefixtures("environ")
def test_an_agent_without_a_grant_does_not_start(command: Command) -> None:
    ran = command("agent", CLOSED)

    assert (ran.code, ran.out) == (3, "")


@pytest.mark.slow
def test_a_sign_out_wipes_what_was_kept_and_silences_agents(household: Household, environ: dict[str, str]) -> None:
    person = {**environ, "PENSTOCK_PROFILE": "leaver"}
    done = subprocess.run(
        [PENSTOCK, "login", household.server, "--profile", "leaver"],
        env={**environ, "PENSTOCK_TEST_USER": "alice"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _run(person, PENSTOCK, "creds", "aws", EXPORTS)
    kept = list(Path(environ["XDG_RUNTIME_DIR"]).rglob("*.json"))
    agent = Agent(person)
    try:
        assert agent.ask() == 200
        _run(person, PENSTOCK, "logout")

        assert agent.ask() == 401
    finally:
        agent.process.kill()
        agent.process.communicate()
    assert len(kept) == 1
    assert [each for each in kept if each.exists()] == []
    _run(person, PENSTOCK, "creds", "aws", EXPORTS, code=4)


@pytest.mark.usefixtures("at_home")
def test_a_boto3_session_reads_and_is_refused_as_the_policy_says(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "ambient")
    with penstock.connect(household.server, token=Cached(profile="alice")) as broker:
        session = broker.boto3_session([EXPORTS], region="us-east-1")
        client = session.client("s3", endpoint_url=household.aws_url)
        body = client.get_object(Bucket="acme-lake", Key="exports/2013/summary.csv")["Body"].read()
        client.close()
        credentials = session.get_credentials()
        assert credentials is not None
        assert credentials.access_key != "ambient"
        assert [lease.door for lease in broker.leases()] != []
        with pytest.raises(penstock.AccessDenied):
            broker.boto3_session([CLOSED])

    assert body == b"stand-in"


def _command_lines() -> list[bytes]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes())
    return found


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _listens(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True
