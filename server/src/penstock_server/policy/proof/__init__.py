"""Proves what a change of policy does: for all possible data, all principals and all instants from now on.

What comes in: two bound policies (`plan.compare`). What goes out: for each table, bucket and login a verdict (`Same`,
`Narrowing`, `Widening`, `Undecided`), its findings with a witness each, and notices.
Must not import: anything outside `model` and `policy`; no I/O, no clock: the same in, the same out, on every machine.

How: every test of a policy speaks of one column, or one property of the caller, and constants. So the values of each
fall into finitely many regions (`regions`, `texts`), on which all tests of both versions are constant; a decision
becomes a formula over regions (`lowering`, `sides`); and "new and not old" is a question that has a model or none
(`search`). A model becomes a principal and a row (`realization`), which the serving evaluator must confirm.

Invariants:
- regions and principals are over-approximated, never cut short, so that "no model" is a proof;
- what is not understood exactly (`reading`), or not decided within the budget, is `Undecided`, never `Same`;
- a witness that the serving evaluator does not confirm is `Undecided`, and a defect to report.
"""
