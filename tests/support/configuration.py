"""A small valid configuration for tests, section by section, so that a test replaces just what it is about."""

from __future__ import annotations

from pathlib import Path

SECTIONS = {
    "identity": """\
identity:
  issuers:
    - issuer: https://login.test
      audience: penstock
      jwks_file: keys.json
""",
    "policies": "policies: [policies]\n",
    "catalogs": """\
catalogs:
  lake:
    engine: duckdb
    parquet: lake
""",
}


def write_configuration(folder: Path, **sections: str) -> Path:
    """Write `penstock.yaml` with the files that it names; each argument is the whole text of one section."""
    (folder / "keys.json").write_text('{"keys": []}')
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "lake").mkdir(exist_ok=True)
    path = folder / "penstock.yaml"
    path.write_text("".join({**SECTIONS, **sections}.values()))
    return path
