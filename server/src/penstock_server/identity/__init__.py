"""Token bytes -> `Principal`.

What comes in: the `authorization` values of a request, its context, the settings of the issuers, the token floors.
What goes out: a `Principal`, or `Unauthenticated` whose `detail` names the rule that was broken. The entry is
`verifier.TokenVerifier`; everything else here is a pure function of bytes and values, but `keys`, which fetches.

Must not import policy, engines, AWS, audit, gRPC. Only `signature` calls python-jose, and only for one thing.

INVARIANT: nothing of a token but its `iss` (to pick a configured issuer) is used before its signature was verified.
INVARIANT: nothing of a token stands in an error, a log line or a key of a cache.
"""
