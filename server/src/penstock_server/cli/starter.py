"""The texts of a starter configuration and policy. Values are written as JSON, which is YAML that hides nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock_server.config.settings import CatalogSettings
from penstock_server.model.schema import CatalogSnapshot, TableSchema
from penstock_server.policy.table_patterns import TablePattern

_RAW_IN_JSON: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
_MAX_NAME: Final = 128

_CONFIGURATION = """\
# The configuration of Penstock: docs/configuration.md says what each key means.
server:
  listen: 127.0.0.1:50051            # other addresses need tls: {{certificate: ..., private_key: ...}}
identity:
  issuers:
    - issuer: {issuer}     # your OpenID provider, exactly as its tokens say it
      audience: {audience}
      client_id: penstock-cli        # what `penstock login` uses
      groups_claim: groups
  administrators: []                 # such as ["group:data-platform"]
  auditors: []                       # such as ["group:security"]
policies: [policies]
catalogs:
  {catalog}:
    engine: duckdb
    parquet: {path}
state: {{url: "sqlite:///var/penstock.db"}}
audit: {{path: var/audit}}
"""

_POLICY = """\
# Who sees what: docs/policy-reference.md. Nothing is visible that no grant names.
version: 1
grants:
  - name: {name}
    principals: [{group}]
    resource: {resource}
    permissions: [DESCRIBE]          # names and columns, but no data
"""

_EXAMPLE = """\

#  - name: {name}
#    principals: [{group}]
#    resource: {resource}
#    permissions: [SELECT]
#    columns: {{include: [{columns}]}}
"""

_CASES = """\
# Who is to see what, held against the policy by `penstock-server policy test`: docs/policy-tools.md.
version: 1
cases:
"""

_CASES_OF_TABLE = """\
  - name: {known}
    principal: {{user: somebody, groups: [{group}]}}
    table: {table}
    expect: {{access: describe}}
  - name: {unknown}
    principal: {{user: anybody}}
    table: {table}
    expect: {{access: not found}}
"""


def starter_configuration(catalog: CatalogSettings, *, base: Path, issuer: str, audience: str) -> str:
    """Give the text of a configuration in the folder `base`."""
    path = catalog.path
    inside = path.is_relative_to(base.resolve())
    return _CONFIGURATION.format(
        issuer=_text(issuer),
        audience=_text(audience),
        catalog=_text(catalog.name),
        path=_text(str(path.relative_to(base.resolve()) if inside else path)),
    )


def starter_policy(snapshot: CatalogSnapshot, *, catalog: str, group: str) -> str:
    """Give the text of a policy that shows names only, with a grant for each table to uncomment."""
    text = _POLICY.format(
        name=_name(group, "know-of", catalog),
        group=_text(f"group:{group}"),
        resource=_text(str(TablePattern(catalog=catalog, database=None, table=None))),
    )
    return text + "".join(_example(table, group) for table in snapshot.tables)


def starter_cases(snapshot: CatalogSnapshot, *, group: str) -> str:
    """Give the text of tests that the starter policy passes; one table at least."""
    cases = (
        _CASES_OF_TABLE.format(
            known=_text(f"the group knows of {table.name}, and reads no row"),
            unknown=_text(f"for all others {table.name} does not exist"),
            group=_text(group),
            table=_text(str(table.name)),
        )
        for table in snapshot.tables
    )
    return _CASES + "".join(cases)


def _example(table: TableSchema, group: str) -> str:
    name = table.name
    return _EXAMPLE.format(
        name=_name(group, "read", name.database, name.table),
        group=_text(f"group:{group}"),
        resource=_text(str(TablePattern(catalog=name.catalog, database=name.database, table=name.table))),
        columns=_texts([column.name for column in table.columns]),
    )


def _texts(values: Sequence[str]) -> str:
    return ", ".join(_text(value) for value in values)


def _text(value: str) -> str:
    quoted = json.dumps(value, ensure_ascii=False)
    # JSON leaves these as they are; our reader refuses them raw.
    return _RAW_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)


def _name(*parts: str) -> str:
    return _text(_NOT_IN_NAMES.sub("-", "-".join(parts))[:_MAX_NAME])
