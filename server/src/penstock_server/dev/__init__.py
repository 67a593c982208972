"""Everything local, for trying Penstock out: an OpenID provider, an AWS stand-in, sample data and policies.

What comes in: nothing but the extra `dev`. What goes out: a running service on loopback addresses. The product never
imports this package; it composes the product through its command line and configuration, as an operator does.

INVARIANT: everything here listens on loopback addresses only and refuses others.
"""
