"""The audit trail: an append-only folder of JSON lines, each chained to the one before it by SHA-256.

What comes in: `AuditRecord`. What goes out: durability before `AuditLog.record` returns, entries for auditors, the end
of the chain, and a verdict over the whole folder. Must not import anything of ours but `config`, `model` and `errors`.

Invariants: sequences count from 1 without gaps; a digest covers the digest before it and its own line; nothing that was
acknowledged is ever written again or cut; one process holds the folder.
"""
