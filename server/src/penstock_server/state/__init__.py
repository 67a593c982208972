"""What outlives a process: leases, database-user bindings and token floors. Never a secret.

What comes in: frozen nouns of `model`. What goes out: the ports `LeaseStore`, `DatabaseUserBindings` and
`TokenFloors`. Must not import any other package of ours but `config`, `model` and `errors`.

INVARIANT: a method returns only when its change is on disk.
INVARIANT: the event loop never waits for the disk; all statements run in one thread.
"""
