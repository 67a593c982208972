"""How a decision came about, in words: for the callers themselves, and for administrators about others.

Invariant: nothing in an explanation depends on data; callers are told of their own grants and visible names alone.
"""
