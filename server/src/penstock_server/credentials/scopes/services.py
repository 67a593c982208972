"""Finds the builder of each service, and joins what several scopes reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from penstock_server.credentials.scopes import athena, glue, kinesis, kms, redshift_data
from penstock_server.credentials.scopes.named_resources import Reach, joined
from penstock_server.model.services import Service, ServiceScope

_BUILDERS: Final[Mapping[Service, Callable[[ServiceScope], tuple[Reach, ...]]]] = {
    Service.KINESIS: kinesis.reaches,
    Service.KMS: kms.reaches,
    Service.REDSHIFT_DATA: redshift_data.reaches,
    Service.ATHENA: athena.reaches,
    Service.GLUE: glue.reaches,
}


def reaches_of(scopes: Iterable[ServiceScope]) -> tuple[Reach, ...]:
    """Give what all scopes reach, joined."""
    return joined(reach for scope in scopes for reach in _BUILDERS[scope.target.service](scope))


def describe(scopes: Iterable[ServiceScope]) -> str:
    """Give scopes as text for leases and the audit; values of limits are personal and stay in the policy's text."""
    parts: list[str] = []
    for scope in scopes:
        names = ",".join(limit.name for limit in scope.limits)
        parts.append(f"{scope.permission.value} {scope.target}" + (f" by {names}" if names else ""))
    return "; ".join(parts)
