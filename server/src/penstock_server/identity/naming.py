"""Step 13: who the token is about.

Identity is (issuer, subject). The username and the attributes are what the issuer's configured claims say; rules may
match them, nothing is keyed by them.
"""

from __future__ import annotations

from penstock_server.config.settings import IssuerSettings
from penstock_server.identity.refusal import Rule, refused
from penstock_server.identity.strict_json import Json, JsonObject
from penstock_server.identity.text import is_name

_MAX_VALUES = 100


def read_subject(claims: JsonObject) -> str:
    """Give `sub`, exactly as it stands.

    Raises:
        Unauthenticated: missing, or no string of 1 to 256 characters without control characters.
    """
    if "sub" not in claims:
        raise refused(Rule.CLAIM_MISSING, "the token has no sub")
    subject = claims["sub"]
    if not isinstance(subject, str) or not is_name(subject):
        raise refused(Rule.SUBJECT, "sub is not a string of 1 to 256 characters without control characters")
    return subject


def read_username(claims: JsonObject, claim: str) -> str | None:
    """Give the username, None where the token has none.

    Raises:
        Unauthenticated: it is there but no name (a malformed one is never taken for an absent one), or it is an
            e-mail address that the issuer says it has not verified.
    Source: OpenID Connect Core 1.0 section 5.7: `email` and the like identify nobody.
    """
    if claim not in claims:
        return None
    # SECURITY: at many providers people write their own address; rules that match names would believe it.
    if claim == "email" and not _is_true(claims.get("email_verified", True)):
        raise refused(Rule.USERNAME, "the issuer says that it has not verified the e-mail address")
    username = claims[claim]
    if not isinstance(username, str) or not is_name(username):
        raise refused(Rule.USERNAME, "the username is not a string of 1 to 256 characters without control characters")
    return username


def _is_true(value: Json) -> bool:
    # Cognito writes it as a string.
    return value is True or value == "true"


def read_attributes(claims: JsonObject, issuer: IssuerSettings) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Give the configured attributes that the token has, sorted by name; a single string is a list of one.

    Raises:
        Unauthenticated: one is neither a name nor a list of at most 100 names.
    """
    present = sorted((name, claim) for name, claim in issuer.attribute_claims if claim in claims)
    return tuple((name, _values(claims[claim], Rule.ATTRIBUTES, f"the attribute `{name}`")) for name, claim in present)


def read_methods(claims: JsonObject) -> tuple[str, ...]:
    """Give the authentication methods (`amr`), none where the token does not say.

    Raises:
        Unauthenticated: it is no list of names.
    """
    if "amr" not in claims:
        return ()
    if not isinstance(claims["amr"], list):
        raise refused(Rule.CLAIM_TYPE, "amr is not a list")
    return _values(claims["amr"], Rule.CLAIM_TYPE, "amr")


def _values(value: Json, rule: Rule, what: str) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    names = tuple(item for item in listed if isinstance(item, str) and is_name(item))
    if len(names) != len(listed) or len(names) > _MAX_VALUES:
        raise refused(rule, f"{what} is neither a name nor a list of at most 100 names")
    return names
