"""Whether the keys of every issuer can be had from here, now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from penstock_server.cli.doctor_checks.finding import Finding, failed, ok
from penstock_server.config.settings import IssuerSettings
from penstock_server.errors import ConfigurationError
from penstock_server.identity.keys.key_set import KeysUnreadable
from penstock_server.identity.keys.sources import source_of

SUBJECT: Final = "issuers"


def findings(issuers: Iterable[IssuerSettings]) -> Iterator[Finding]:
    """Ask each issuer for its keys, as a server does; at most about five seconds each."""
    for issuer in issuers:
        yield _issuer(issuer)


def _issuer(issuer: IssuerSettings) -> Finding:
    claim = f"the keys of {issuer.issuer} can be had"
    try:
        keys = source_of(issuer).load().keys
    except ConfigurationError as error:
        return failed(SUBJECT, claim, "; ".join(error.problems), fix="mend this issuer in the configuration")
    except KeysUnreadable as error:
        fix = "see that the address can be reached from here, and that `ca` holds the authority of its certificate"
        return failed(SUBJECT, claim, str(error), fix=fix)
    if not keys.usable:
        reasons = "; ".join(sorted(set(keys.unusable.values()))) or "it publishes none"
        return failed(SUBJECT, claim, f"none can be used: {reasons}", fix="have the provider sign with RS256 or ES256")
    return ok(SUBJECT, claim, f"{len(keys.usable)} usable")
