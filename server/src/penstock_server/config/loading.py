"""`penstock.yaml` to `Settings`: read, overridden from outside, checked as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock_server.config.addresses import parse_listen
from penstock_server.config.catalogs_section import check_source_roles, read_catalogs
from penstock_server.config.credentials_section import read_credentials
from penstock_server.config.document import contents, parse
from penstock_server.config.identity_section import read_identity
from penstock_server.config.machine import memory_bytes
from penstock_server.config.overrides import Override, apply, environment_overrides
from penstock_server.config.paths import existing_file, path_of
from penstock_server.config.quantities import parse_size
from penstock_server.config.reading import MapReader, Problems, shown
from penstock_server.config.secrets import is_reference
from penstock_server.config.settings import QuerySettings, ServerSettings, Settings, TlsSettings

_SECTIONS: Final = ("server", "identity", "policies", "catalogs", "query", "credentials", "state", "audit")
_DEFAULT_LISTEN: Final = "127.0.0.1:50051"
_DEFAULT_STATE: Final = "sqlite:///var/penstock.db"
_DEFAULT_EXTRACTS: Final = "25%"
_DEFAULT_AUDIT: Final = "var/audit"
_MIB: Final = 2**20


def load(path: Path, *, environ: Mapping[str, str], flags: Iterable[Override] = ()) -> Settings:
    """Read a configuration; precedence is flags, `PENSTOCK__SECTION__KEY` variables, the file, defaults.

    Paths in the result are absolute: relative ones start at the folder of the file, wherever they are set. Files that
    the configuration names are looked at only as far as whether they are there; nothing is asked over a network.

    Raises:
        ConfigurationError: all problems that were found, each `FILE:LINE: ...` or `VARIABLE: ...`.
    """
    path = path.absolute()
    text = contents(path)
    problems = Problems()
    overrides = (*environment_overrides(environ, problems), *flags)
    root = apply(parse(text, path), overrides, problems)
    reader = MapReader(root, problems, name="", known=_SECTIONS)
    base = path.parent
    settings = Settings(
        source=path,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        server=_read_server(reader, base),
        identity=read_identity(
            reader.section(
                "identity", known=("issuers", "administrators", "auditors"), unavailable=("directory", "signals")
            ),
            base,
        ),
        policies=_read_policies(reader, base),
        catalogs=read_catalogs(reader, base),
        query=_read_query(reader),
        credentials=read_credentials(
            reader.section(
                "credentials",
                known=("lifetime", "protected_locations", "accepted_resource_grants", "aws", "redshift", "spark"),
            )
        ),
        state_url=_read_state(reader, base),
        audit_path=_read_audit(reader, base),
    )
    aws = settings.credentials.aws
    roles = frozenset(() if aws is None else (role.name for role in aws.roles))
    check_source_roles(reader, settings.catalogs, roles)
    problems.raise_if_any()
    return settings


def _read_server(root: MapReader, base: Path) -> ServerSettings:
    reader = root.section(
        "server",
        known=("listen", "tls", "reflection", "metrics"),
        unavailable=("http", "processes", "so_reuseport", "proxies"),
    )
    tls = _read_tls(reader, base)
    written = reader.text("listen") or _DEFAULT_LISTEN
    listen, loopback = written, True
    try:
        listen, loopback = parse_listen(written)
    except ValueError as error:
        reader.complain("listen", f"{shown(written)} {error}")
    if not loopback and tls is None:
        # SECURITY: bearer tokens and governed rows would cross the network in plain text.
        reader.complain(
            "listen", f"{shown(written)} is reachable from outside; set `server.tls`, or listen on loopback"
        )
    return ServerSettings(
        listen=listen,
        tls=tls,
        reflection=reader.boolean("reflection", default=False),
        metrics=_read_metrics(reader),
    )


def _read_metrics(server: MapReader) -> str | None:
    written = server.text("metrics")
    if written is None:
        return None
    try:
        address, loopback = parse_listen(written)
    except ValueError as error:
        server.complain("metrics", f"{shown(written)} {error}")
        return None
    if not loopback:
        # SECURITY: nobody is asked for a token there.
        server.complain("metrics", f"{shown(written)} is reachable from outside; listen on loopback")
    return address


def _read_tls(server: MapReader, base: Path) -> TlsSettings | None:
    reader = server.map("tls", known=("certificate", "private_key", "client_ca"))
    if reader is None:
        return None
    reader.required("certificate")
    reader.required("private_key")
    return TlsSettings(
        certificate=existing_file(reader, "certificate", base) or base,
        private_key=existing_file(reader, "private_key", base) or base,
        client_ca=existing_file(reader, "client_ca", base),
    )


def _read_policies(root: MapReader, base: Path) -> tuple[Path, ...]:
    root.required("policies")
    texts = root.placed_texts("policies")
    if not texts and root.node("policies") is not None:
        root.complain("policies", "must name at least one file or folder")
    paths = []
    for text, place in texts:
        paths.append(base / text)
        if text and not paths[-1].exists():
            root.problems.add(place, f"`policies`: {shown(str(paths[-1]))} does not exist, or cannot be reached")
    return tuple(paths)


def _read_query(root: MapReader) -> QuerySettings:
    reader = root.section(
        "query",
        known=(
            "timeout",
            "stall_timeout",
            "memory",
            "max_rows",
            "concurrency",
            "waiting",
            "waiting_per_principal",
            "extracts",
        ),
    )
    day = timedelta(days=1)
    second = timedelta(seconds=1)
    return QuerySettings(
        timeout=reader.duration("timeout", minimum=second, maximum=day) or timedelta(seconds=60),
        stall_timeout=reader.duration("stall_timeout", minimum=second, maximum=day) or timedelta(seconds=30),
        memory_bytes=reader.size("memory", minimum=64 * _MIB, maximum=2**40) or 2048 * _MIB,
        max_rows=reader.integer("max_rows", minimum=1, maximum=2**62),
        concurrency=reader.integer("concurrency", minimum=1, maximum=1024) or 8,
        extract_bytes=_read_extracts(reader),
        waiting=reader.integer("waiting", minimum=1, maximum=100_000) or 512,
        waiting_per_principal=reader.integer("waiting_per_principal", minimum=1, maximum=100_000) or 64,
    )


def _read_extracts(query: MapReader) -> int:
    """Give how many bytes of extracts are kept; 0 = none."""
    reader = query.section("extracts", known=("memory",), unavailable=("scratch",))
    written = reader.text("memory") or _DEFAULT_EXTRACTS
    share = re.fullmatch(r"([0-9]{1,2})%", written, re.ASCII)
    if share is not None:
        return memory_bytes() * int(share[1]) // 100
    try:
        return parse_size(written)
    except ValueError:
        reader.complain("memory", f"{shown(written)} is neither a share of the memory, such as `25%`, nor a size")
        return 0


def _read_state(root: MapReader, base: Path) -> str:
    reader = root.section("state", known=("url",))
    url = reader.text("url") or _DEFAULT_STATE
    if is_reference(url):
        return url
    if re.match(r"postgres(ql)?(\+[a-z0-9]+)?:", url):
        # The URL may hold a password, so it is not repeated.
        reader.complain("url", "names PostgreSQL, whose URL may hold a password: write a reference to it, `env:NAME`")
        return ""
    match = re.fullmatch(r"sqlite:///([^?#]+)", url)
    if match is None or match[1] == ":memory:":
        forms = "`sqlite:///PATH` (relative), `sqlite:////PATH` (absolute) or a reference, such as `env:NAME`"
        reader.complain("url", f"must be {forms}")
        return ""
    return f"sqlite:///{base / match[1]}"


def _read_audit(root: MapReader, base: Path) -> Path:
    reader = root.section("audit", known=("path",), unavailable=("checkpoints", "sinks"))
    return path_of(reader, "path", base) or base / _DEFAULT_AUDIT
