"""Rules datasets: which rows a user or a group sees, read from CSV or queries, bound, and looked up by principal.

Invariant: a rules dataset only ever takes rows away; who is not named by it sees none.
"""
