"""The keys of the issuers: read, fetched, checked one by one, kept fresh.

What comes in: `IssuerSettings` (a JWKS file, a JWKS URL, or discovery at the issuer). What goes out: one
`VerificationKey` for a `kid`, or a refusal. `jwk` and `key_set` are pure; `sources` and `fetching` block and run in
a bounded executor; `issuer_keys` decides when.

INVARIANT: no URL is ever taken from a token.
INVARIANT: a key that the issuer no longer publishes verifies nothing after the next refresh.
"""
