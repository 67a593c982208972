"""What to do at the identity provider, and what its tokens need in the configuration.

Source: the providers' own administration guides; RFC 8252 (loopback redirects, PKCE), RFC 9068 (access tokens).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock_server.cli.aws_setup.wanted import Provider, SetUp

FILE: Final = "identity-provider.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Steps in order, and lines of the issuer's entry in `identity.issuers`."""

    title: str
    issuer: str
    steps: tuple[str, ...]
    claims: str


_PUBLIC: Final = (
    "authorization code with PKCE, no secret, redirect `http://127.0.0.1/callback` with any port; leave the device flow"
    " off, because it can be phished"
)

RECIPES: Final = {
    Provider.OKTA: Recipe(
        title="Okta",
        issuer="https://YOUR-ORG.okta.com/oauth2/SERVER-ID",
        steps=(
            "Security, API, Authorization Servers: use a custom one. Tokens of the organisation's own server are not"
            " for other parties and cannot be verified.",
            "Its audience is `{audience}`; access tokens live 60 minutes at most.",
            "Add a claim `groups` to the access token: groups, matches the regex of the groups that policies name.",
            f"Applications: a native application; {_PUBLIC}. Its client id goes into `client_id`.",
            "Okta's `sub` is the login name, which can change hands: give people names that are never used again.",
        ),
        claims="      groups_claim: groups\n      token_types: [none]           # Okta sends no typ\n",
    ),
    Provider.ENTRA: Recipe(
        title="Microsoft Entra ID",
        issuer="https://login.microsoftonline.com/TENANT-ID/v2.0",
        steps=(
            "App registration for the API: Expose an API, a scope; in the manifest `accessTokenAcceptedVersion: 2`. The"
            " audience of version 2 tokens is this registration's client id, not a URI.",
            "Token configuration: groups claim for the access token, by id, of groups assigned to the application."
            " Above 200 groups Entra leaves the claim out, and Penstock refuses what needs groups.",
            f"A second registration for `penstock login`: mobile and desktop; {_PUBLIC}. Its client id goes into"
            " `client_id`, and the API's scope into `scopes`.",
            "`sub` is another for each application and stays with the person; tokens live up to 90 minutes.",
        ),
        claims="      groups_claim: groups\n      token_types: [JWT]\n      max_token_age: 95m\n",
    ),
    Provider.KEYCLOAK: Recipe(
        title="Keycloak",
        issuer="https://HOST/realms/REALM",
        steps=(
            "Client scopes: one with an audience mapper that adds `{audience}` to access tokens, and a group membership"
            " mapper `groups`, without the full path.",
            f"Clients: a public one; {_PUBLIC}. Give it that scope as a default. Its client id goes into `client_id`.",
            "Access tokens live 5 minutes by default, and AWS gives no session for less than 15: raise the client's"
            " lifetime, or set `credentials.lifetime: fixed`, which needs `credentials.aws.revocation`.",
        ),
        claims="      groups_claim: groups\n      token_types: [JWT]\n",
    ),
    Provider.AUTH0: Recipe(
        title="Auth0",
        issuer="https://YOUR-TENANT.auth0.com/",
        steps=(
            "APIs: one with the identifier `{audience}`, RS256, the RFC 9068 profile, 1 hour at most.",
            f"Applications: a native one; {_PUBLIC}. Its client id goes into `client_id`.",
            "Actions, login flow: add the groups as a claim whose name is a URL; name it in `groups_claim`.",
            "The issuer ends in a slash.",
        ),
        claims='      groups_claim: "https://YOUR-DOMAIN/groups"\n      token_types: [at+jwt]\n',
    ),
    Provider.COGNITO: Recipe(
        title="Amazon Cognito",
        issuer="https://cognito-idp.REGION.amazonaws.com/POOL-ID",
        steps=(
            "User pool: a resource server with the identifier `{audience}`, and resource binding, so that access tokens"
            " carry it as `aud`. Without it they have none, and are refused.",
            f"App client: public; {_PUBLIC}. Its client id goes into `client_id`.",
            "Groups are in `cognito:groups`, the user's name in `username`.",
        ),
        claims='      groups_claim: "cognito:groups"\n      username_claim: username\n      token_types: [none, JWT]\n',
    ),
    Provider.OTHER: Recipe(
        title="An OpenID Connect provider",
        issuer="https://login.example.com",
        steps=(
            "Register an API (resource server) with the audience `{audience}`; access tokens are signed JWTs of 1 hour"
            " at most, with `iss`, `sub`, `aud`, `iat`, `exp`, and groups in the claim `groups`.",
            f"Register a public client for `penstock login`: {_PUBLIC}. Its client id goes into `client_id`.",
            "Prefer tokens of the type `at+jwt` (RFC 9068), with which no ID token can be mistaken for one.",
        ),
        claims="      groups_claim: groups\n      token_types: [at+jwt]\n",
    ),
}


def recipe_text(setup: SetUp) -> str:
    """Give the steps at the provider, as Markdown."""
    recipe = RECIPES[setup.provider]
    steps = "\n".join(
        f"{number}. {step.format(audience=setup.audience)}" for number, step in enumerate(recipe.steps, 1)
    )
    return (
        f"# {recipe.title}\n\nThe issuer is `{setup.issuer}`, exactly as the tokens' `iss` says it; the audience is"
        f" `{setup.audience}`.\n\n{steps}\n\nThen sign in with `penstock login`, and look at `penstock whoami`: issuer,"
        " subject and groups are what policies are about.\n\nThese steps were not run by Penstock's own tests.\n"
    )
