"""The section `identity`: issuers, administrators, auditors."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock_server.config.addresses import check_url
from penstock_server.config.paths import existing_file
from penstock_server.config.principals import known_issuers, parse_selector
from penstock_server.config.reading import MapReader, shown
from penstock_server.config.settings import IdentitySettings, IssuerSettings
from penstock_server.config.shared_issuers import missing_claim
from penstock_server.model.principal import EveryoneOf, KnownIssuers, PrincipalSelector

ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"})
"""What python-jose verifies with a public key."""

_TOKEN_TYPES: Final = {"at+jwt": "at+jwt", "application/at+jwt": "application/at+jwt", "jwt": "jwt", "none": ""}
_DEFAULT_MAX_TOKEN_AGE: Final = timedelta(hours=1)
_ISSUER_KEYS: Final = (
    "issuer",
    "audience",
    "client_id",
    "scopes",
    "device_flow",
    "jwks_file",
    "jwks_uri",
    "algorithms",
    "token_types",
    "username_claim",
    "groups_claim",
    "group_prefix",
    "attribute_claims",
    "required_claims",
    "default",
    "max_token_age",
    "allowed_clients",
    "ca",
)


def read_identity(reader: MapReader, base: Path) -> IdentitySettings:
    """Read the section; relative paths start at `base`. Problems go to the reader's collection."""
    readers = reader.maps("issuers", known=_ISSUER_KEYS, unavailable=("preset",))
    reader.required("issuers")
    if not readers and reader.node("issuers") is not None:
        reader.complain("issuers", "must name at least one issuer")
    written = [(issuer, _read_issuer(issuer, base)) for issuer in readers]
    _check_together(written)
    issuers = _with_default(tuple(settings for _, settings in written))
    known = known_issuers(issuers)
    return IdentitySettings(
        issuers=issuers,
        administrators=_selectors(reader, "administrators", known),
        auditors=_selectors(reader, "auditors", known),
    )


def _read_issuer(reader: MapReader, base: Path) -> IssuerSettings:
    issuer = reader.required_text("issuer")
    jwks_uri = _url(reader, "jwks_uri")
    jwks_file = existing_file(reader, "jwks_file", base)
    if reader.node("jwks_uri") is not None and reader.node("jwks_file") is not None:
        reader.complain("jwks_uri", "stands beside `jwks_file`; keep one source of keys")
    if reader.node("jwks_uri") is None and reader.node("jwks_file") is None:
        _url(reader, "issuer")  # keys are found by discovery there
    if "|" in issuer or any(character.isspace() for character in issuer):
        reader.complain("issuer", "must not hold `|` or blanks: policies write `user:ISSUER|SUB`")
    required_claims = reader.text_pairs("required_claims")
    advice = missing_claim(issuer, frozenset(name for name, _ in required_claims))
    if advice:
        # SECURITY: this provider signs tokens for anybody; the audience alone keeps nobody out.
        reader.complain("issuer", f"is shared by strangers; set `required_claims` ({advice})")
    return IssuerSettings(
        issuer=issuer,
        audience=reader.required_text("audience"),
        client_id=reader.text("client_id"),
        scopes=_texts(reader, "scopes", ("openid",)),
        device_flow=reader.boolean("device_flow", default=False),
        jwks_file=jwks_file,
        jwks_uri=jwks_uri,
        algorithms=_algorithms(reader),
        token_types=_token_types(reader),
        username_claim=reader.text("username_claim") or "preferred_username",
        groups_claim=_claim_path(reader, "groups_claim", "groups"),
        group_prefix=reader.text("group_prefix", empty=True) or "",
        attribute_claims=reader.text_pairs("attribute_claims"),
        required_claims=required_claims,
        default=reader.boolean("default", default=False),
        max_token_age=reader.duration("max_token_age", minimum=timedelta(minutes=1), maximum=timedelta(hours=24))
        or _DEFAULT_MAX_TOKEN_AGE,
        allowed_clients=frozenset(reader.texts("allowed_clients") or ()),
        ca=existing_file(reader, "ca", base),
    )


def _check_together(written: list[tuple[MapReader, IssuerSettings]]) -> None:
    seen: set[str] = set()
    for reader, settings in written:
        if settings.issuer in seen:
            reader.complain("issuer", f"{shown(settings.issuer)} stands here twice; remove one")
        seen.add(settings.issuer)
    if len(written) == 1:
        reader, settings = written[0]
        if reader.node("default") is not None and not settings.default:
            reader.complain("default", "must not be false: the only issuer is the default")
    defaults = [reader for reader, settings in written if settings.default]
    if len(written) > 1 and not defaults:
        written[0][0].complain("default", "is missing: with several issuers one is marked `default: true`")
    for reader in defaults[1:]:
        reader.complain("default", "is true for a second issuer; only one is the default")
    _check_prefixes(written)


def _check_prefixes(written: list[tuple[MapReader, IssuerSettings]]) -> None:
    prefixes: list[str] = []
    for reader, settings in written:
        prefix = settings.group_prefix
        if settings.default or len(written) == 1:
            if prefix:
                reader.complain("group_prefix", "must be empty for the default issuer")
            continue
        if not re.fullmatch(r"[^\s:][^\s]*:", prefix):
            reader.complain("group_prefix", "must be set for every issuer but the default, and end in `:`")
            continue
        # SECURITY: with one prefix inside another, a group of one issuer could be read as a group of the other.
        if any(prefix.startswith(other) or other.startswith(prefix) for other in prefixes):
            reader.complain("group_prefix", f"{shown(prefix)} and that of another issuer begin alike; change one")
        prefixes.append(prefix)


def _with_default(issuers: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
    return (replace(issuers[0], default=True),) if len(issuers) == 1 else issuers


def _algorithms(reader: MapReader) -> frozenset[str]:
    names = _texts(reader, "algorithms", ("RS256", "ES256"))
    for name in names:
        if name in ALGORITHMS:
            continue
        if name.startswith("PS") or name == "EdDSA":
            why = "is not available in this version: the verifier has RS and ES, 256 to 512"
        elif name.startswith("HS"):
            why = "is refused: whoever could check such a token could also make one"
        else:
            why = f"is refused; choose from {', '.join(sorted(ALGORITHMS))}"
        reader.complain("algorithms", f"{shown(name)} {why}")
    return frozenset(names)


def _token_types(reader: MapReader) -> frozenset[str]:
    found = set()
    for written in _texts(reader, "token_types", ("at+jwt",)):
        if written.lower() not in _TOKEN_TYPES:
            reader.complain(
                "token_types", f"{shown(written)} is no kind of access token; use `at+jwt`, `JWT` or `none`"
            )
            continue
        found.add(_TOKEN_TYPES[written.lower()])
    return frozenset(found)


def _texts(reader: MapReader, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    texts = reader.texts(key)
    if texts is None:
        return default
    if not texts:
        reader.complain(key, "must not be empty; leave it out for the default")
    return texts


def _claim_path(reader: MapReader, key: str, default: str) -> tuple[str, ...]:
    path = reader.text(key) or default
    # A claim named by a URL (`https://example.com/groups`) is one name: its dots are no steps.
    parts = (path,) if "://" in path else tuple(path.split("."))
    if not all(parts):
        reader.complain(key, "has an empty step; write `realm_access.roles`")
    return parts


def _url(reader: MapReader, key: str) -> str | None:
    url = reader.text(key)
    if url is None:
        return None
    try:
        check_url(url)
    except ValueError as error:
        reader.complain(key, f"{shown(url)} {error}")
    return url


def _selectors(reader: MapReader, key: str, known: KnownIssuers) -> tuple[PrincipalSelector, ...]:
    found: list[PrincipalSelector] = []
    for text, place in reader.placed_texts(key):
        try:
            selector = parse_selector(text, known)
        except ValueError as error:
            reader.problems.add(place, f"`{reader.path(key)}`: {shown(text)} {error}")
            continue
        if isinstance(selector, EveryoneOf):
            reader.problems.add(place, f"`{reader.path(key)}` must not be everyone; name users or groups")
            continue
        found.append(selector)
    return tuple(found)
