"""Files of the service: who may read its secrets, and whether state and audit can be written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.config.secrets import SecretReferences, is_reference
from penstock_server.config.settings import Settings
from penstock_server.errors import ConfigurationError

SECRETS: Final = "secrets"
FOLDERS: Final = "folders"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def findings(settings: Settings, *, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at secrets, state, audit, and who may change what decides."""
    if settings.server.tls is not None:
        yield _private(settings.server.tls.private_key)
    for reference in _references(settings):
        yield _resolves(reference, environ)
        if reference.startswith("file:"):
            yield _private(Path(reference.removeprefix("file:")))
    state = Path(settings.state_url.removeprefix("sqlite:///"))
    if settings.state_url.startswith("sqlite:"):
        yield from _folder("state", state.parent)
        if state.exists():
            yield _private(state)
    yield from _folder("audit", settings.audit_path)
    for path in (settings.source, *settings.policies):
        yield _unchanged_by_others(path)


def _references(settings: Settings) -> list[str]:
    aws = settings.credentials.aws
    roles = () if aws is None else aws.roles
    external_ids = [role.external_id for role in roles if role.external_id is not None]
    return external_ids + ([settings.state_url] if is_reference(settings.state_url) else [])


def _resolves(reference: str, environ: Mapping[str, str]) -> Finding:
    claim = f"`{reference}` leads to a secret"
    try:
        SecretReferences(environ).resolve(reference)
    except ConfigurationError as error:
        fix = "set it where the service runs; this command sees its own environment alone"
        return failed(SECRETS, claim, "; ".join(error.problems), fix=fix)
    return ok(SECRETS, claim)


def _private(path: Path) -> Finding:
    claim = f"{path} is the service's alone"
    try:
        told = path.stat()
    except OSError as error:
        return cannot_know(SECRETS, claim, f"{error.strerror}", fix="ask again as the service's user")
    if told.st_uid not in (0, os.geteuid()):
        fix = f"`chown` it to the service's user, then `chmod 600 {path}`"
        return failed(SECRETS, claim, f"it belongs to user {told.st_uid}", fix=fix)
    if told.st_mode & _OTHERS:
        return failed(SECRETS, claim, f"its mode is {stat.S_IMODE(told.st_mode):o}", fix=f"`chmod 600 {path}`")
    return ok(SECRETS, claim)


def _folder(name: str, folder: Path) -> Iterator[Finding]:
    claim = f"{name} can be written in {folder}"
    existing = next(above for above in (folder, *folder.parents) if above.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield failed(FOLDERS, claim, f"`{existing}` cannot", fix="give it to the user that runs the service")
        return
    yield ok(FOLDERS, claim, "" if folder.exists() else "it is made at the first start")
    if folder.exists():
        yield _unchanged_by_others(folder)


def _unchanged_by_others(path: Path) -> Finding:
    claim = f"nobody else may change {path}"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return cannot_know(FOLDERS, claim, f"{error.strerror}", fix="ask again as the service's user")
    if mode & _OTHERS_MAY_WRITE:
        return failed(FOLDERS, claim, f"its mode is {stat.S_IMODE(mode):o}", fix=f"`chmod go-w {path}`")
    return ok(FOLDERS, claim)
