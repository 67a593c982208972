from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import penstock_server.dev
import pytest
import yaml
from penstock_server.config.loading import load
from penstock_server.config.overrides import Override
from penstock_server.config.reading import shown
from penstock_server.config.settings import CatalogKind, DatabaseUserStyle, LifetimeRule, Settings
from penstock_server.errors import ConfigurationError
from penstock_server.model.principal import Group, UserByName, UserBySubject
from penstock_server.model.resource import S3Location
from support.configuration import SECTIONS, write_configuration

VECTORS = Path(__file__).parents[2] / "vectors" / "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    id: str
    section: str
    text: str
    at: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    id: str
    variable: str
    value: str
    problem: str


REJECTIONS = [Rejection(**case) for case in yaml.safe_load((VECTORS / "rejections.yaml").read_text())]
VARIABLES = [Variable(**case) for case in yaml.safe_load((VECTORS / "variables.yaml").read_text())]


def rejected(path: Path, environ: dict[str, str] | None = None, flags: tuple[Override, ...] = ()) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ=environ or {}, flags=flags)
    return caught.value.problems


def _told(problem: str, folder: Path) -> str:
    """Put the folder into a problem; a long path is cut, as every text of somebody else is."""
    return re.sub(r"`(\{folder\}[^`]*)`", lambda path: shown(path[1].replace("{folder}", str(folder))), problem)


@pytest.mark.parametrize("case", REJECTIONS, ids=lambda case: case.id)
def test_a_wrong_configuration_is_refused_where_and_why(case: Rejection, tmp_path: Path) -> None:
    path = write_configuration(tmp_path, **{case.section: case.text})
    problems = rejected(path)
    for problem in problems:
        place, _, what = problem.partition(": ")
        line = int(place.removeprefix(f"{path}:"))
        expected = _told(case.problem, tmp_path).replace("{line-1}", str(line - 1))
        if what == expected:
            assert case.at in path.read_text().splitlines()[line - 1]
            return
    pytest.fail(f"{case.problem!r} is not among {problems}")


@pytest.mark.parametrize("case", REJECTIONS, ids=lambda case: case.id)
def test_a_problem_never_repeats_what_may_be_a_secret(case: Rejection, tmp_path: Path) -> None:
    problems = "\n".join(rejected(write_configuration(tmp_path, **{case.section: case.text})))
    assert "hunter2" not in problems
    assert "s3cr3t" not in problems


def test_the_ids_of_the_vectors_are_distinct() -> None:
    assert len({case.id for case in REJECTIONS}) == len(REJECTIONS)
    assert len({case.id for case in VARIABLES}) == len(VARIABLES)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_without_default_must_be_there(section: str, tmp_path: Path) -> None:
    names = {"identity": "`identity.issuers`", "policies": "`policies`", "catalogs": "`catalogs`"}
    path = write_configuration(tmp_path, **{section: ""})
    assert rejected(path) == (f"{path}:1: {names[section]} is missing",)


def test_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    settings = load(write_configuration(tmp_path), environ={})
    issuer = settings.identity.issuers[0]
    assert settings.server.listen == "127.0.0.1:50051"
    assert settings.server.tls is None
    assert settings.server.reflection is False
    assert issuer.algorithms == {"RS256", "ES256"}
    assert issuer.token_types == {"at+jwt"}
    assert issuer.username_claim == "preferred_username"
    assert issuer.groups_claim == ("groups",)
    assert issuer.default
    assert issuer.max_token_age == timedelta(hours=1)
    assert issuer.allowed_clients == frozenset()
    assert not issuer.device_flow
    assert settings.query.timeout == timedelta(seconds=60)
    assert settings.query.stall_timeout == timedelta(seconds=30)
    assert settings.query.memory_bytes == 2 * 2**30
    assert settings.query.max_rows is None
    assert settings.query.concurrency == 8
    assert settings.credentials.lifetime is LifetimeRule.TOKEN
    assert settings.credentials.aws is None
    assert settings.state_url == f"sqlite:///{tmp_path}/var/penstock.db"
    assert settings.audit_path == tmp_path / "var" / "audit"


FULL = {
    "server": """\
server:
  listen: "[::1]:50051"
  tls: {certificate: keys.json, private_key: keys.json, client_ca: keys.json}
  reflection: true
""",
    "identity": """\
identity:
  issuers:
    - issuer: https://login.example.com
      audience: penstock
      client_id: penstock-cli
      scopes: [openid, offline_access]
      device_flow: true
      jwks_file: keys.json
      algorithms: [RS256, ES512]
      token_types: [at+jwt, JWT, none]
      username_claim: upn
      groups_claim: realm_access.roles
      group_prefix: ""
      attribute_claims: {department: dept, country: c}
      required_claims: {hd: acme.com}
      default: true
      max_token_age: 95m
      allowed_clients: [a, b]
      ca: keys.json
    - issuer: https://partner.test
      audience: penstock
      jwks_uri: https://partner.test/keys
      groups_claim: https://partner.test/groups
      group_prefix: "partner:"
  administrators: ["group:platform", "group:partner:ops", "user:root"]
  auditors: ["user:https://partner.test|7|8"]
""",
    "catalogs": """\
catalogs:
  lake: {engine: duckdb, parquet: lake, location: "S3A://acme-lake/curated//x"}
  file: {engine: duckdb, database: keys.json}
""",
    "query": "query: {timeout: 90s, stall_timeout: 1500ms, memory: 512MiB, max_rows: 7, concurrency: 3}\n",
    "credentials": """\
credentials:
  lifetime: fixed
  protected_locations: ["s3://acme-athena-results/"]
  accepted_resource_grants: ["arn:aws:s3:::acme-public"]
  aws:
    region: eu-west-1
    endpoint_url: null
    roles:
      lake-reader:
        arn: "arn:aws:iam::111122223333:role/path/penstock-lake-reader"
        external_id: "env:EXT"
        serves: ["arn:aws:s3:::acme-lake", "arn:aws:s3:::acme-lake/*"]
        max_ttl: 30m
        bucket_accounts: {acme-lake: "444455556666"}
    broker_role: "arn:aws:iam::111122223333:role/penstock-broker"
    revocation:
      role: "arn:aws:iam::111122223333:role/penstock-revoker"
      boundary: "arn:aws:iam::111122223333:policy/penstock-boundary"
      external_id: "env:EXT"
  redshift:
    analytics: {kind: cluster, cluster_identifier: analytics, region: eu-west-1, database: prod, host: h.test,
      port: 5440, identity: hash, user_prefix: px_}
""",
    "state": 'state: {url: "sqlite:////var/lib/penstock.db"}\n',
    "audit": "audit: {path: /var/audit}\n",
}


def test_every_key_arrives_in_the_settings(tmp_path: Path) -> None:
    path = write_configuration(tmp_path, **FULL)
    settings = load(path, environ={})
    keys = tmp_path / "keys.json"
    first, second = settings.identity.issuers
    assert settings.source == path
    assert settings.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert settings.server.listen == "[::1]:50051"
    assert settings.server.tls is not None
    assert settings.server.tls.client_ca == keys
    assert settings.server.reflection
    assert first.scopes == ("openid", "offline_access")
    assert first.device_flow
    assert first.jwks_file == keys
    assert first.algorithms == {"RS256", "ES512"}
    assert first.token_types == {"at+jwt", "jwt", ""}
    assert first.username_claim == "upn"
    assert first.groups_claim == ("realm_access", "roles")
    assert first.attribute_claims == (("country", "c"), ("department", "dept"))
    assert first.required_claims == (("hd", "acme.com"),)
    assert first.max_token_age == timedelta(minutes=95)
    assert first.allowed_clients == {"a", "b"}
    assert first.ca == keys
    assert (first.default, second.default) == (True, False)
    assert second.jwks_uri == "https://partner.test/keys"
    assert second.groups_claim == ("https://partner.test/groups",)
    assert settings.identity.administrators == (
        Group(issuer="https://login.example.com", name="platform"),
        Group(issuer="https://partner.test", name="ops"),
        UserByName(issuer="https://login.example.com", username="root"),
    )
    assert settings.identity.auditors == (UserBySubject(issuer="https://partner.test", subject="7|8"),)
    assert [(catalog.name, catalog.kind) for catalog in settings.catalogs] == [
        ("lake", CatalogKind.PARQUET),
        ("file", CatalogKind.DATABASE),
    ]
    assert settings.catalogs[0].location == S3Location(bucket="acme-lake", key="curated//x")
    assert settings.query.stall_timeout == timedelta(milliseconds=1500)
    assert settings.query.memory_bytes == 512 * 2**20
    assert settings.query.max_rows == 7
    assert settings.credentials.lifetime is LifetimeRule.FIXED
    assert settings.credentials.protected_locations == (S3Location(bucket="acme-athena-results", key=""),)
    assert settings.credentials.aws is not None
    (role,) = settings.credentials.aws.roles
    assert (role.name, role.external_id, role.max_ttl) == ("lake-reader", "env:EXT", timedelta(minutes=30))
    assert role.bucket_accounts == (("acme-lake", "444455556666"),)
    assert settings.credentials.aws.broker_role == "arn:aws:iam::111122223333:role/penstock-broker"
    assert settings.credentials.aws.revocation is not None
    assert settings.credentials.aws.revocation.external_id == "env:EXT"
    (redshift,) = settings.credentials.redshift
    assert (redshift.port, redshift.identity, redshift.user_prefix) == (5440, DatabaseUserStyle.HASH, "px_")
    assert settings.state_url == "sqlite:////var/lib/penstock.db"
    assert settings.audit_path == Path("/var/audit")


def test_the_state_may_be_a_reference_that_is_not_resolved_yet(tmp_path: Path) -> None:
    path = write_configuration(tmp_path, state='state: {url: "env:STATE_URL"}\n')
    assert load(path, environ={}).state_url == "env:STATE_URL"


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_configuration(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    settings = load(Path(tmp_path.name) / path.name, environ={})
    assert settings.source == path
    assert settings.policies == (tmp_path / "policies",)
    assert settings.catalogs[0].path == tmp_path / "lake"
    assert settings.identity.issuers[0].jwks_file == tmp_path / "keys.json"


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write_configuration(tmp_path, query="query: {timeout: x, memory: y}\n", audit="audit: {pat: z}\n")
    lines = [int(problem.split(":")[1]) for problem in rejected(path)]
    assert lines == sorted(lines)
    assert len(lines) == 3


def test_a_file_that_is_a_list_is_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    path.write_text("- server\n")
    assert f"{path}:1: `the file` must be a mapping" in rejected(path)


def test_null_is_as_if_the_key_were_not_there(tmp_path: Path) -> None:
    path = write_configuration(
        tmp_path, server="server: {tls: null, listen: null}\n", query="query: null\n", state="state:\n"
    )
    settings = load(path, environ={})
    assert settings.server.listen == "127.0.0.1:50051"
    assert settings.query.concurrency == 8


def test_the_sample_configuration_of_the_product_loads(tmp_path: Path) -> None:
    sample = Path(penstock_server.dev.__file__).parent / "sample"
    shutil.copytree(sample, tmp_path / "sample")
    (tmp_path / "sample" / "lake").mkdir()
    settings = load(tmp_path / "sample" / "penstock.yaml", environ={})
    assert settings.catalogs[0].name == "lake"


# --- overrides -----------------------------------------------------------------------------------------------------


def loaded(folder: Path, environ: dict[str, str], flags: tuple[Override, ...] = ()) -> Settings:
    path = write_configuration(folder, **FULL)
    return load(path, environ={"HOME": "/", "PENSTOCK_SERVER": "x", **environ}, flags=flags)


@pytest.mark.parametrize(
    ("variable", "value", "get", "expected"),
    [
        ("QUERY__TIMEOUT", "5s", lambda s: s.query.timeout, timedelta(seconds=5)),
        ("QUERY__MAX_ROWS", "9", lambda s: s.query.max_rows, 9),
        ("QUERY__MAX_ROWS", "null", lambda s: s.query.max_rows, None),
        ("SERVER__REFLECTION", "false", lambda s: s.server.reflection, False),
        ("SERVER__LISTEN", "127.0.0.1:1", lambda s: s.server.listen, "127.0.0.1:1"),
        ("IDENTITY__ISSUERS__0__AUDIENCE", "123", lambda s: s.identity.issuers[0].audience, "123"),
        ("IDENTITY__ISSUERS__0__SCOPES__1", "true", lambda s: s.identity.issuers[0].scopes, ("openid", "true")),
        ("IDENTITY__ISSUERS__1__ALLOWED_CLIENTS__0", "x", lambda s: s.identity.issuers[1].allowed_clients, {"x"}),
        ("CATALOGS__LAKE__PARQUET", "policies", lambda s: s.catalogs[0].path.name, "policies"),
        ("CREDENTIALS__AWS__ENDPOINT_URL", "http://127.0.0.1:5", lambda s: s.credentials.aws.endpoint_url, "http://127.0.0.1:5"),
        ("CREDENTIALS__REDSHIFT__ANALYTICS__PORT", "5", lambda s: s.credentials.redshift[0].port, 5),
        ("AUDIT__PATH", "elsewhere", lambda s: s.audit_path.name, "elsewhere"),
    ],
)  # fmt: skip
def test_a_variable_overrides_the_file(variable: str, value: str, get: Any, expected: object, tmp_path: Path) -> None:
    assert get(loaded(tmp_path, {f"PENSTOCK__{variable}": value})) == expected


def test_a_variable_may_set_what_the_file_leaves_out(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    environ = {
        "PENSTOCK__QUERY__CONCURRENCY": "2",
        "PENSTOCK__SERVER__TLS__CERTIFICATE": "keys.json",
        "PENSTOCK__SERVER__TLS__PRIVATE_KEY": "keys.json",
        "PENSTOCK__SERVER__LISTEN": "0.0.0.0:7",
        "PENSTOCK__IDENTITY__AUDITORS__0": "user:eve",
    }
    settings = load(path, environ=environ)
    assert settings.query.concurrency == 2
    assert settings.server.listen == "0.0.0.0:7"
    assert settings.identity.auditors == (UserByName(issuer="https://login.test", username="eve"),)


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path) -> None:
    flag = Override(path=("server", "listen"), value="127.0.0.1:3", source="--listen")
    variable = {"PENSTOCK__SERVER__LISTEN": "127.0.0.1:2"}
    assert loaded(tmp_path, variable).server.listen == "127.0.0.1:2"
    assert loaded(tmp_path, variable, (flag,)).server.listen == "127.0.0.1:3"


@pytest.mark.parametrize("case", VARIABLES, ids=lambda case: case.id)
def test_a_variable_that_fits_nothing_is_an_error_that_names_it(case: Variable, tmp_path: Path) -> None:
    path = write_configuration(tmp_path, **FULL)
    assert f"{case.variable}: {case.problem}" in rejected(path, {case.variable: case.value})


def test_a_wrong_flag_is_named(tmp_path: Path) -> None:
    flag = Override(path=("server", "listen"), value="0.0.0.0:1", source="--listen")
    assert rejected(write_configuration(tmp_path), flags=(flag,)) == (
        "--listen: `server.listen` `0.0.0.0:1` is reachable from outside; set `server.tls`, or listen on loopback",
    )
