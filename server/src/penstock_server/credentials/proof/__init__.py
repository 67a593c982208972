"""The second reading of a session policy, before it is sent: it must say exactly what was decided.

What comes in: the exact text that AWS would get, the decision, and the texts on which that rests. What goes out: a
proved policy, or why there is none, with a request as witness. The entries are `proving.prove`, for the text, and
`grounds.beyond`, for the decision.

Two statements meet here that share nothing: the text, read back as AWS reads it (`reading`), and the decision, said
in words of its own (`permits`). Both are unions of boxes: a set of actions, times a set of resources, times a set of
values for each condition key. The texts of each variable fall into finitely many regions which no pattern of either
side tells apart (`domains`), so that inclusion is a subtraction of boxes (`boxes`) and exact: what is refused has a
witness, and what is proved holds for every request there can be.

INVARIANT: nothing here imports a builder (`credentials.scopes`, `credentials.session_policy`), or what computes a
decision (`policy.resources`, `credentials.covered`), nor the reverse. What is shared is the automaton of wildcard
patterns, `policy.proof.globs`: no builder uses it, and a mistake in it is found by brute force in the tests of both
proofs.
INVARIANT: what is not understood, or takes too many steps, is not proved.
"""
