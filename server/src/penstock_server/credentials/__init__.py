"""The credential doors: one decision in, one AWS session or database login out, never wider than the decision.

What comes in: a verified principal and a typed request (`requests`). What goes out: credentials with their lease, or
one error. The entries are `aws_sessions.AwsSessionDoor` and `redshift_logins.RedshiftLoginDoor`. Must not import
`service`, `broker` or `query`, nor how policies are loaded.

INVARIANT: a credential never reaches a cell that the query door would hide (`closed_locations`).
INVARIANT: AWS is never called about a name that no grant of the caller covers.
INVARIANT: the lease row and the audit record of the attempt are on disk before AWS is called, those of the outcome
before anything is answered. Secrets are in neither.
"""
