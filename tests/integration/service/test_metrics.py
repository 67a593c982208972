"""Metrics of a running server, as a scraper reads them."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import penstock
import pytest
from penstock_server.cli.main import run
from support.server import ServerProcess, free_port, running_server
from support.small_lake import token_for, write_world

_SAMPLE = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+')


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[ServerProcess]:
    folder, port = tmp_path_factory.mktemp("measured"), free_port()
    query = "{timeout: 60s, memory: 256MiB, concurrency: 2, extracts: {memory: 64MiB}}"
    path = write_world(folder, port=port, query=query)
    text = path.read_text().replace(f":{port}\n", f":{port}\n  metrics: 127.0.0.1:{metrics_port}\n", 1)
    path.write_text(text)
    with running_server(folder, configuration=path, port=port) as running:
        yield running


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        lines = answer.read().decode().splitlines()
    assert lines[-1] == "# EOF"
    samples = [line for line in lines if not line.startswith("#")]
    assert all(_SAMPLE.fullmatch(line) for line in samples)
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in samples)}


def test_statements_calls_and_extracts_are_counted(measured: ServerProcess, metrics_port: int) -> None:
    with penstock.connect(measured.address, token=token_for("alice")) as alice:
        for _ in range(2):
            alice.query("select count(carrier) from nyc.flights").rows()
    found = scraped(metrics_port)
    execute = 'method="/penstock.v1.QueryService/ExecuteQuery"'
    assert found[f'penstock_calls_total{{{execute},ended="ok"}}'] == 2
    assert found[f'penstock_call_seconds_bucket{{{execute},le="+Inf"}}'] == 2
    assert found[f"penstock_call_seconds_count{{{execute}}}"] == 2
    assert found["penstock_extract_hits_total"] + found["penstock_extract_misses_total"] >= 1
    assert found["penstock_extract_builds_total"] >= 1
    assert found["penstock_extract_build_seconds_total"] > 0
    assert found["penstock_serving"] == 1
    assert found['penstock_barrier_active{barrier="landlock"}'] == 1
    assert found["penstock_landlock_version"] >= 1
    assert found['penstock_statements{phase="answering"}'] == 0


def test_no_metric_names_a_person_or_a_table(measured: ServerProcess, metrics_port: int) -> None:
    with penstock.connect(measured.address, token=token_for("alice")) as alice:
        alice.query("select count(carrier) from nyc.flights").rows()
        with pytest.raises(penstock.PenstockError):
            alice.query("select canary_4711 from nyc.flights").rows()
    text = str(scraped(metrics_port))
    assert not [word for word in ("alice", "analysts", "flights", "nyc", "carrier", "4711") if word in text]


def test_only_metrics_are_served_there(measured: ServerProcess, metrics_port: int) -> None:
    for path in ("/", "/metrics/more", "/../etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}{path}", timeout=20)
        with refused.value as answer:
            assert answer.code == 404


def test_health_tells_which_barriers_hold(measured: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["health", "--address", measured.address]) == 0
    told = capsys.readouterr().out
    assert "barriers: no_new_privs, landlock, seccomp, capabilities dropped, resource limits" in told
