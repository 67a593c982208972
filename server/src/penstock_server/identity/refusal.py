"""Why a token was refused: the names that stand in the audit."""

from __future__ import annotations

from enum import StrEnum

from penstock_server.errors import Unauthenticated


class Rule(StrEnum):
    """A rule that a request's token broke. Audit searches by these names: they are stable."""

    AUTHORIZATION_MISSING = "authorization-missing"
    AUTHORIZATION_REPEATED = "authorization-repeated"
    AUTHORIZATION_SCHEME = "authorization-scheme"
    TOKEN_SIZE = "token-size"  # noqa: S105 - the name of a rule
    TOKEN_ENCODING = "token-encoding"  # noqa: S105 - the name of a rule
    HEADER_JSON = "header-json"
    HEADER_MEMBER = "header-member"
    TYP = "typ"
    ISSUER_UNKNOWN = "issuer-unknown"
    ALGORITHM = "algorithm"
    KEY_ID = "key-id"
    KEYS_UNAVAILABLE = "keys-unavailable"
    KEY_NOT_FOUND = "key-not-found"
    KEY_UNUSABLE = "key-unusable"
    KEY_UNFIT = "key-unfit"
    SIGNATURE = "signature"
    PAYLOAD_JSON = "payload-json"
    CLAIM_MISSING = "claim-missing"
    CLAIM_TYPE = "claim-type"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    ISSUED_IN_FUTURE = "issued-in-future"
    TOKEN_AGE = "token-age"  # noqa: S105 - the name of a rule
    AUDIENCE = "audience"
    CLIENT = "client"
    TOKEN_KIND = "token-kind"  # noqa: S105 - the name of a rule
    PROOF_OF_POSSESSION = "proof-of-possession"
    REQUIRED_CLAIM = "required-claim"
    TOKEN_FLOOR = "token-floor"  # noqa: S105 - the name of a rule
    SUBJECT = "subject"
    USERNAME = "username"
    ATTRIBUTES = "attributes"
    GROUPS = "groups"


def refused(rule: Rule, why: str) -> Unauthenticated:
    """Build the one outward error; `why` is for log and audit and never holds anything of the token."""
    return Unauthenticated(detail=f"{rule}: {why}")
