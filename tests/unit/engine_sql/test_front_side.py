"""What the front loads of this package loads no driver: it never parses or runs SQL, and never holds a cell."""

import subprocess
import sys

import pytest

FRONT_SIDE = ["constants", "error_encoding", "errors", "failures", "identifiers", "printing", "relations", "shapes"]


@pytest.mark.parametrize("module", FRONT_SIDE)
def test_a_module_of_the_front_loads_no_driver(module: str) -> None:
    program = (
        f"import sys, penstock_server.engines.duckdb.{module}\n"
        "print(sorted({'duckdb', '_duckdb', 'pyarrow', 'numpy', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
