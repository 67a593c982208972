"""The client in an interpreter of its own that can import the core dependencies and nothing else of site-packages."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

# Files of grpcio, protobuf and googleapis-common-protos, and typing_extensions, which grpcio asks for.
BLOCKER = """
import sys

ALLOWED = {"penstock", "grpc", "google", "typing_extensions"}

class Narrowed:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED and top not in sys.stdlib_module_names and not top.startswith("_"):
            return None
        return self.finder.find_spec(name, path, target)

sys.meta_path = [Narrowed(finder) for finder in sys.meta_path]
"""


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_client_imports_with_its_three_dependencies_alone() -> None:
    assert _run("import penstock, penstock.aio, penstock.login; print(penstock.connect.__name__)") == "connect"


def test_the_other_packages_are_really_out_of_reach() -> None:
    assert (
        _run("""
        try:
            import pyarrow
        except ModuleNotFoundError as error:
            print(error.name)
    """)
        == "pyarrow"
    )


@pytest.mark.parametrize(
    ("call", "extra", "package"),
    [
        ("broker.query('select 1')", "arrow", "pyarrow"),
        ("broker.boto3_session(['arn:aws:s3:::a/*'])", "boto", "boto3"),
        ("penstock.extras.load('pandas', extra='pandas', purpose='x')", "pandas", "pandas"),
    ],
)
def test_a_missing_extra_is_named_before_anything_is_sent(call: str, extra: str, package: str) -> None:
    output = _run(f"""
        import penstock
        with penstock.connect("127.0.0.1:1", token="t") as broker:
            try:
                {call}
            except penstock.MissingExtra as error:
                print(error.extra, "|", error, "|", error.hint)
    """)

    found, message, hint = output.split(" | ")
    assert found == extra
    assert f"`{package}`" in message
    assert hint == f'install it with `pip install "penstock[{extra}]"`'


def test_the_command_names_its_extra_in_place_of_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + "from penstock.cli.main import main\nmain()", "whoami"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert 'pip install "penstock[cli]"' in done.stderr
    assert "Traceback" not in done.stderr
