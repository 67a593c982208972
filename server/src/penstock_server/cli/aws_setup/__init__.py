"""What `penstock-server aws init` writes: roles as a template, a configuration, a policy, SQL and a recipe.

Comes in: a `SetUp`, read from flags and from the account. Goes out: texts, the same for the same set-up whenever and
wherever it is made. Nothing here speaks to AWS.

INVARIANT: what a template creates is made from `resources.resources` alone, so that both forms create the same.
INVARIANT: a target role is powerless without the tag of a lease, and whoever may revoke may do nothing else.
"""
