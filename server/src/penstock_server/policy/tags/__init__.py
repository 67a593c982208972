"""LF-tags: which resource has which, and the tables and columns that a tag expression stands for.

Invariant: tags are resolved when a policy is bound; no decision looks at them again.
"""
