"""A rules dataset and the column rules of a QuickSight dataset to a policy file.

What comes in: a DescribeDataSet answer and the CSV of its rules. What goes out: an `Imported`. `semantics` must not
import `translation`, nor the other way round.
"""
