"""Every block of the documents is run, loaded, or carries the reason why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock_server.config.loading import load
from penstock_server.config.settings import Settings
from penstock_server.dev.environment import FREE_PORTS, LocalEnvironment
from support.documents import SHOWN, Block, all_blocks

BIN = Path(sys.executable).parent
OPERATORS = frozenset({"aws-setup.md", "operations.md", "policy-tools.md"})
BLOCKS = all_blocks()


def _of(language: str, kind: str = "") -> list[Block]:
    return [one for one in BLOCKS if one.language == language and one.kind == kind and not one.not_run]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    with LocalEnvironment(tmp_path_factory.mktemp("docs") / "penstock-dev", FREE_PORTS) as environment:
        yield environment


@pytest.fixture(scope="module")
def home(local: LocalEnvironment) -> Path:
    """A folder of a person: a lake in it, and signed in nowhere."""
    folder = local.folder.parent / "home"
    folder.mkdir()
    shutil.copytree(local.folder / "lake", folder / "lake")
    return folder


def test_every_block_is_checked_or_says_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = [one.place for one in BLOCKS if one.language not in {*SHOWN, "sh", "python", "yaml", "json"}]
    unknown += [one.place for one in BLOCKS if one.language == "yaml" and one.kind not in {"policy", "configuration"}]
    # test_session_policies.py and test_revocation_setup.py compare these with what is printed and called.
    printed = {"session policy", "revocation"}
    unknown += [one.place for one in BLOCKS if one.language == "json" and one.kind not in printed]
    assert not unknown, f"blocks that nothing checks: {unknown}"
    assert _of("sh")
    assert _of("python")
    assert _of("yaml", "policy")
    with capsys.disabled():
        for one in BLOCKS:
            if one.not_run:
                sys.stdout.write(f"\nnot run: {one.place}: {one.not_run}")


@pytest.mark.timeout(300)
def test_commands_and_programs_run_in_the_order_of_the_documents(local: LocalEnvironment, home: Path) -> None:
    click = f"{sys.executable} {Path(__file__).with_name('click.py')} %s"
    environ = {
        **local.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PENSTOCK_SERVER": local.address,
        "PENSTOCK_TEST_USER": "alice",
        "BROWSER": click,
        "DISPLAY": ":0",
    }
    for one in BLOCKS:
        if one.not_run or one.language not in {"sh", "python"}:
            continue
        text = one.text.replace("localhost:50051", local.address)
        program = ["bash", "-euo", "pipefail", "-c"] if one.language == "sh" else [sys.executable, "-c"]
        # What the operator reads is run where the operator's files are; what users read, in a user's folder.
        operator = one.document.name in OPERATORS
        # `init` and `check` are about the user's own files: the addresses of the sample configuration are not theirs.
        own = {name: value for name, value in environ.items() if operator or not name.startswith("PENSTOCK__")}
        done = subprocess.run(
            [*program, text],
            cwd=local.folder if operator else home,
            env=own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{one.place}\n{one.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", _of("yaml", "policy"), ids=lambda block: block.place)
def test_each_policy_loads_and_binds(block: Block, local: LocalEnvironment, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(local.folder / "policies" / "rules", folder / "rules")
    (folder / "policy.yaml").write_text(block.text)
    environ = {**local.environ, "PENSTOCK__POLICIES__0": str(folder), "MASK_KEY": "k" * 32}
    done = subprocess.run(
        [BIN / "penstock-server", "check", "--config", local.config],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", _of("yaml", "configuration"), ids=lambda block: block.place)
def test_each_configuration_loads(block: Block, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "lake").mkdir()
    config = tmp_path / "penstock.yaml"
    config.write_text(block.text)
    assert isinstance(load(config, environ={}), Settings)
