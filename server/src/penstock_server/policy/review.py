"""What a policy does that its author may not have meant; none of it keeps the policy from loading."""

from __future__ import annotations

from penstock_server.config.settings import IssuerSettings
from penstock_server.policy.masks.disclosures import mask_warnings
from penstock_server.policy.source import PolicySource
from penstock_server.policy.undeclared_attributes import attribute_warnings


def policy_warnings(source: PolicySource, issuers: tuple[IssuerSettings, ...]) -> tuple[str, ...]:
    """Give `FILE:LINE: what` of masks that show more than they seem to, and of attributes that no issuer brings."""
    declared = frozenset(name for issuer in issuers for name, _ in issuer.attribute_claims)
    return (*(str(warning) for warning in mask_warnings(source)), *attribute_warnings(source, declared))
