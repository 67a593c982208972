from __future__ import annotations

import ast
import sys
from pathlib import Path

import penstock.login

FOLDER = Path(penstock.login.__file__).parent


def test_signing_in_needs_nothing_but_the_standard_library() -> None:
    modules: set[str] = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
    outside = {name for name in modules if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in outside if not name.startswith("penstock.login")} == {"penstock.errors"}
    assert len(modules) > 20
