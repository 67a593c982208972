"""Row filter expressions: text, tokens, syntax tree, and a test that is typed against a table.

Invariant: a filter is total. It holds no function, no second column and no subquery, so it cannot fail on a hidden row.
"""
