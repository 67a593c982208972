"""Everything about a configuration that can be known on this machine, without a network."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from penstock_server.broker.rules_queries import answer_rules
from penstock_server.cli.private_engine import private_engine
from penstock_server.config.principals import known_issuers
from penstock_server.config.secrets import SecretReferences, is_reference
from penstock_server.config.settings import IssuerSettings, Settings, TlsSettings
from penstock_server.credentials.redshift_logins import check_cluster
from penstock_server.credentials.roles import read_roles
from penstock_server.errors import ConfigurationError, PenstockError
from penstock_server.identity.keys.key_set import KeysUnreadable
from penstock_server.identity.keys.sources import source_of
from penstock_server.model.clock import SystemClock
from penstock_server.model.ports import RulesReader
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy import binding
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.reading import files
from penstock_server.policy.review import policy_warnings
from penstock_server.policy.rules.queries import asked_rules
from penstock_server.policy.source import PolicySource
from penstock_server.posture.locations import required_buckets
from penstock_server.state.postgresql import check_server_url

T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """What was found: `passed` and `unchecked` in words, `problems` each with its place.

    `warnings` say where a policy shows more than it seems to; it holds all the same.
    """

    passed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


async def check_all(settings: Settings, *, environ: Mapping[str, str], now: datetime) -> Report:
    """Check what `load` has not: certificates, keys, folders, catalogs, policies, and how these fit together."""
    report = Report()
    issuers = len(settings.identity.issuers)
    report.passed.append(f"configuration: {_count(issuers, 'issuer')}, {_count(len(settings.catalogs), 'catalog')}")
    if settings.server.tls is not None:
        _check_tls(settings.server.tls, report, now=now)
    for issuer in settings.identity.issuers:
        _check_issuer(issuer, report)
    _check_state(settings.state_url, report, environ=environ)
    _check_folder("audit", settings.audit_path, report)
    await _check_policy(settings, report)
    _check_aws(settings, report, environ=environ)
    return report


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _check_tls(tls: TlsSettings, report: Report, *, now: datetime) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key that wants a password would be asked for on the terminal.
        context.load_cert_chain(tls.certificate, tls.private_key, password="")
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
        certificate = x509.load_pem_x509_certificates(tls.certificate.read_bytes())[0]
    except (OSError, ssl.SSLError, ValueError) as error:
        what = "certificate, key and client_ca are no PEM files that belong together"
        report.problems.append(f"server.tls: {what} ({type(error).__name__})")
        return
    until = certificate.not_valid_after_utc
    if not certificate.not_valid_before_utc <= now <= until:
        report.problems.append(f"{tls.certificate}: the certificate is not valid now, but until {until:%Y-%m-%d}")
        return
    report.passed.append(f"certificate: valid until {until:%Y-%m-%d}")


def _check_issuer(issuer: IssuerSettings, report: Report) -> None:
    try:
        source = source_of(issuer)
    except ConfigurationError as error:
        report.problems.extend(error.problems)
        return
    if issuer.jwks_file is None:
        report.unchecked.append(f"keys of {issuer.issuer}: they are fetched over the network")
        return
    try:
        keys = source.load().keys
    except KeysUnreadable as error:
        report.problems.append(f"{issuer.jwks_file}: {error}")
        return
    if not keys.usable:
        reasons = "; ".join(sorted(set(keys.unusable.values()))) or "there is none"
        report.problems.append(f"{issuer.jwks_file}: holds no key that can be used: {reasons}")
        return
    left_out = f", {len(keys.unusable)} left out" if keys.unusable else ""
    report.passed.append(f"keys of {issuer.issuer}: {len(keys.usable)} usable{left_out}")


def _check_state(url: str, report: Report, *, environ: Mapping[str, str]) -> None:
    if not is_reference(url):
        _check_folder("state", Path(url.removeprefix("sqlite:///")).parent, report)
        return
    try:
        check_server_url(SecretReferences(environ).resolve(url))
    except ConfigurationError as error:
        report.problems.extend(error.problems)
        return
    report.unchecked.append("state: the server is reached over the network")


def _check_folder(name: str, folder: Path, report: Report) -> None:
    """Require that a folder can be written, or made: the nearest one above that exists decides."""
    existing = next(above for above in (folder, *folder.parents) if above.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        report.problems.append(f"{name}: `{folder}` cannot be written by this user")
        return
    report.passed.append(f"{name}: {folder}")


async def _check_policy(settings: Settings, report: Report) -> None:
    issuers = known_issuers(settings.identity.issuers)
    source: PolicySource | None = _noting(report, lambda: files.load(settings.policies, issuers))
    snapshot: CatalogSnapshot | None = None
    remote = [catalog for catalog in settings.catalogs if catalog.remote]
    here = tuple(catalog for catalog in settings.catalogs if not catalog.remote)
    report.unchecked.extend(
        f"catalog {catalog.name}: its tables ({catalog.place}) are asked over the network" for catalog in remote
    )
    try:
        async with private_engine(here) as engine:
            snapshot = await engine.inspect()
            for catalog in here:
                tables = sum(table.name.catalog == catalog.name for table in snapshot.tables)
                report.passed.append(f"catalog {catalog.name}: {_count(tables, 'table')}")
            if not remote:
                source = await _answered(source, snapshot, engine, report)
    except ConfigurationError as error:
        report.problems.extend(error.problems)
        source = None
    except PenstockError as error:
        report.problems.append(f"catalogs: {error.message}: {error.detail}")
        source = None
    if remote:
        what = "whether the policy fits the catalogs: `penstock-server policy validate` asks over the network too"
        report.unchecked.append(what)
        return
    if source is None or snapshot is None:
        report.unchecked.append("whether the policy fits the catalogs: first mend what is wrong with either")
        return
    logins = frozenset(cluster.name for cluster in settings.credentials.redshift)
    policy = _noting(report, lambda: binding.bind(source, snapshot, logins=logins))
    if policy is not None:
        report.passed.append(f"policy: fits the catalogs, version {policy.version}")
        report.warnings.extend(policy_warnings(source, settings.identity.issuers))
        _check_requirements(policy, settings, report)


def _check_requirements(policy: BoundPolicy, settings: Settings, report: Report) -> None:
    buckets = sorted(required_buckets(policy))
    if not buckets:
        return
    named = ", ".join(f"`{bucket}`" for bucket in buckets)
    if settings.credentials.aws is None:
        report.warnings.append(
            f"`requires`: without `credentials.aws` nothing is ever known of {named}, so these grants never hold"
        )
    else:
        report.unchecked.append(f"`requires`: whether {named} meet it; `penstock-server posture` asks AWS")


async def _answered(
    source: PolicySource | None, snapshot: CatalogSnapshot, engine: RulesReader, report: Report
) -> PolicySource | None:
    """Ask the rules queries of a policy, as a server would at its start."""
    queries = 0 if source is None else sum(1 for _ in asked_rules(source))
    if source is None or not queries:
        return source
    source = await answer_rules(source, snapshot, engine, SystemClock())
    report.passed.append(f"rules: {_count(queries, 'dataset')} from queries")
    return source


def _noting(report: Report, work: Callable[[], T]) -> T | None:
    try:
        return work()
    except ConfigurationError as error:
        report.problems.extend(error.problems)
        return None


def _check_aws(settings: Settings, report: Report, *, environ: Mapping[str, str]) -> None:
    aws = settings.credentials.aws
    if aws is None:
        return
    secrets = SecretReferences(environ)
    # External ids may be set on the serving machine only, so the roles' own form is checked without them.
    _noting(report, lambda: read_roles([replace(role, external_id=None) for role in aws.roles], secrets))
    for cluster in settings.credentials.redshift:
        _noting(report, partial(check_cluster, cluster))
    for role in aws.roles:
        report.unchecked.append(f"role {role.name}: whether AWS lets us assume {role.arn}")
        if role.external_id is not None:
            try:
                secrets.resolve(role.external_id)
            except ConfigurationError:
                report.unchecked.append(f"role {role.name}: its external id, `{role.external_id}` is not set here")
    report.unchecked.extend(
        f"Redshift login {cluster.name}: whether the cluster {cluster.cluster_identifier} is there"
        for cluster in settings.credentials.redshift
    )
    for catalog in settings.catalogs:
        if catalog.location is not None and not catalog.remote:
            report.unchecked.append(f"catalog {catalog.name}: whether its files are at {catalog.location}")
