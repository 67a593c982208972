"""Tests of policies: who sees what, written down as cases and held against the decisions that would be served.

What comes in: files of cases (`reading`). What goes out: for each case what differs (`checking`), printed by `formats`.
Decisions are made by the serving evaluator; given rows go through the real engine, sandbox included (`given_rows`).

INVARIANT: a case that expects nothing is refused: there is no test that cannot fail.
"""
