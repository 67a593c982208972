"""Who asks, and which parts they have."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.config.settings import IdentitySettings
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.principal import Principal, selects
from penstock_server.model.request import RequestContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified principal in one call."""

    principal: Principal
    context: RequestContext


class Roles:
    """Tells administrators and auditors, as the configuration names them."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._administrators = settings.administrators
        self._auditors = settings.auditors

    def is_administrator(self, principal: Principal) -> bool:
        """Tell whether the calls for administrators are for this principal."""
        return any(selects(selector, principal) for selector in self._administrators)

    def is_auditor(self, principal: Principal) -> bool:
        """Tell whether the calls for auditors are for this principal."""
        return any(selects(selector, principal) for selector in self._auditors)

    def require_administrator(self, principal: Principal) -> None:
        """Let administrators pass. Raises AccessDenied (`ROLE_REQUIRED`)."""
        if not self.is_administrator(principal):
            raise AccessDenied(
                Reason.ROLE_REQUIRED,
                "this call is for administrators",
                hint="ask somebody whom `identity.administrators` names",
            )

    def require_auditor(self, principal: Principal) -> None:
        """Let auditors pass. Raises AccessDenied (`ROLE_REQUIRED`)."""
        if not self.is_auditor(principal):
            raise AccessDenied(
                Reason.ROLE_REQUIRED,
                "this call is for auditors",
                hint="ask somebody whom `identity.auditors` names",
            )
