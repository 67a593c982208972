"""Extracts: the permitted cells of a table as a DuckDB file in memory, kept and shared.

Comes in: a governed table, the fingerprint of its decision, and the columns that a statement needs. Goes out: a sealed
memory file that holds exactly the permitted cells of these columns, for whoever has a decision with this fingerprint.
The front's side: never loads DuckDB or Arrow.

INVARIANT: an extract is written by a builder, which sees the canonical stream alone, and is sealed before anybody reads
it. It is found by fingerprint, state of the source, and columns: a change of any of them is another extract. It has no
name in any file system, so there is nothing to sweep: it is gone with its last holder.
"""
