"""OpenID providers whose tokens anybody may get: without a required claim, `everyone` would mean the world."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedIssuer:
    """A provider shared by strangers. `claim` must be required where it is given; else any claim will do.

    `advice` is what to require.
    """

    pattern: re.Pattern[str]
    claim: str | None
    advice: str


SHARED_ISSUERS: Final = (
    SharedIssuer(
        pattern=re.compile(r"(https://)?accounts\.google\.com/?"),
        claim="hd",
        advice="`hd`, your Workspace domain",
    ),
    SharedIssuer(
        pattern=re.compile(r"https://token\.actions\.githubusercontent\.com(/.*)?"),
        claim=None,
        advice="such as `repository_owner_id` or `repository_id`",
    ),
    SharedIssuer(
        pattern=re.compile(r"https://gitlab\.com/?"),
        claim=None,
        advice="such as `namespace_id` or `project_id`",
    ),
    SharedIssuer(
        pattern=re.compile(
            r"https://(login\.microsoftonline\.com|sts\.windows\.net)/"
            r"(common|organizations|consumers|\{tenantid\}|9188040d-6c67-4c5b-b112-36a304b66dad)(/.*)?",
            re.IGNORECASE,
        ),
        claim="tid",
        advice="`tid`, your tenant; better, name your tenant's own issuer",
    ),
    SharedIssuer(
        pattern=re.compile(r"https://oidc\.eks\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/id/.*"),
        claim=None,
        advice="such as `sub`, one service account",
    ),
    SharedIssuer(
        pattern=re.compile(r"https://container\.googleapis\.com/v1/projects/.*"),
        claim=None,
        advice="such as `sub`, one service account",
    ),
)
"""Source: each provider's own documentation of its tokens, 2026; GitHub, GitLab and clusters sign for any audience."""


def missing_claim(issuer: str, required: frozenset[str]) -> str:
    """Tell what a shared issuer still needs, or "" where nothing is missing or the issuer is not shared."""
    for shared in SHARED_ISSUERS:
        if shared.pattern.fullmatch(issuer) is None:
            continue
        satisfied = shared.claim in required if shared.claim is not None else bool(required)
        return "" if satisfied else shared.advice
    return ""
