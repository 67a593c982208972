"""Lake Formation and QuickSight to policy files, with a report of what is equal and what was left out.

What comes in: typed records of what AWS permits, a mapping of AWS principals to ours, and the tables of the catalogs.
What goes out: the text of policy files that load and bind, a comparison for each principal and table, and everything
that was not carried over, with the reason. Must not import `query`, `credentials`, `service` or an engine.

INVARIANT: what cannot be said exactly is left out and listed, never approximated; leaving out only ever takes away.
INVARIANT: a policy that differs from what AWS permits, by an evaluator that shares no code with it, is never written.
"""
