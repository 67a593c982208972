"""Redshift as a warehouse that enforces by itself: its logins, what is in force in it, and the end of sessions.

In come settings of a warehouse and values of the model; out go facts that were read from its catalogs, and statements.
It never decides: `credentials` compares what a policy wants with what a warehouse says.

INVARIANT: no name reaches a statement but through `identifiers`, and no value but through `literals` or a parameter.
SECURITY: the broker's own login here is an ordinary user, which may call the procedures of `setup` and nothing else.
"""
