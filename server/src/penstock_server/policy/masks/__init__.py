"""Masks: what a policy says of them, read and bound to columns, and what they show beyond what they seem to.

Invariant: a mask is total and has one type for everybody whom it can reach.
"""
