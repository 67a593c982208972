"""Principals of whom administrators ask: described in a request, not signed in."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.broker.decision_records import MAX_RESOURCE_CHARACTERS, Details
from penstock_server.errors import InvalidRequest
from penstock_server.identity.text import is_name
from penstock_server.model.principal import Group, KnownIssuers, Principal
from penstock_server.query.requests import OtherPrincipal

MAX_GROUPS = 1_000
MAX_ATTRIBUTES = 100
MAX_VALUES = 100
_NAME = "1 to 256 characters, without control characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPrincipal:
    """A principal as a request describes them, in its own words: not validated yet. "" stands for what is left out."""

    issuer: str
    username: str
    subject: str
    groups: tuple[str, ...]
    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    source_address: str

    def details(self) -> Details:
        """Give who is asked about, for the audit of a question that may be refused."""
        asked = {"issuer": self.issuer, "username": self.username, "subject": self.subject}
        text = json.dumps({**asked, "groups": self.groups[:MAX_GROUPS]}, ensure_ascii=True)
        return (("asked about", text[:MAX_RESOURCE_CHARACTERS]),)

    def described(self, issuers: KnownIssuers, *, at: datetime) -> OtherPrincipal:
        """Give the principal, as a token issued at this instant would make them.

        Raises:
            InvalidRequest: a field breaks its rule.
        """
        issuer = self.issuer or issuers.default
        if issuer not in issuers.issuers:
            raise InvalidRequest("principal.issuer", "an issuer exactly as configured, or nothing")
        if not self.username and not self.subject:
            raise InvalidRequest("principal", "a username or a subject")
        for field, name in (("username", self.username), ("subject", self.subject)):
            if name and not is_name(name):
                raise InvalidRequest(f"principal.{field}", _NAME)
        if len(self.groups) > MAX_GROUPS or not all(is_name(name) for name in self.groups):
            raise InvalidRequest("principal.groups", f"at most {MAX_GROUPS:,} names of {_NAME}")
        self._check_attributes()
        if self.source_address and not _is_address(self.source_address):
            raise InvalidRequest("principal.source_address", "a literal IP address, or nothing")
        principal = Principal(
            issuer=issuer,
            subject=self.subject,
            username=self.username or None,
            groups=frozenset(Group(issuer=issuer, name=name) for name in self.groups),
            groups_complete=True,
            attributes=tuple(sorted(self.attributes)),
            client_id=None,
            authentication_methods=(),
            issued_at=at,
            expires_at=at + timedelta(hours=1),
        )
        return OtherPrincipal(principal=principal, source_address=self.source_address)

    def _check_attributes(self) -> None:
        names = [name for name, _ in self.attributes]
        if len(names) > MAX_ATTRIBUTES or len(set(names)) < len(names) or not all(is_name(name) for name in names):
            raise InvalidRequest("principal.attributes", f"at most {MAX_ATTRIBUTES} different names of {_NAME}")
        for name, values in self.attributes:
            if not 1 <= len(values) <= MAX_VALUES or not all(is_name(value) for value in values):
                rule = f"1 to {MAX_VALUES} values of {_NAME}"
                raise InvalidRequest(f"principal.attributes[{names.index(name)}].values", rule)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
