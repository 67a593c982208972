"""python-jose may do one thing for us; everything else that it offers is more lenient than the verifier."""

from __future__ import annotations

import ast
from pathlib import Path

import penstock_server.identity

FOLDER = Path(penstock_server.identity.__file__).parent


def _imports(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "jose"}


def test_one_module_uses_python_jose() -> None:
    users = {path.name: _imports(ast.parse(path.read_text())) for path in FOLDER.rglob("*.py")}
    assert {name: found for name, found in users.items() if found} == {
        "signature.py": {
            "jose.backends",
            "jose.jws",
            "jose.backends.base.Key",
            "jose.backends.cryptography_backend.CryptographyECKey",
            "jose.backends.cryptography_backend.CryptographyRSAKey",
            "jose.exceptions.JWSError",
        }
    }


def test_it_verifies_one_token_with_one_key_object_and_one_algorithm() -> None:
    tree = ast.parse((FOLDER / "signature.py").read_text())
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "jws"]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func in uses]
    assert len(uses) == len(calls) == 1
    assert ast.unparse(calls[0]) == "jws.verify(token.text, _jose_key(key, algorithm), [algorithm])"
