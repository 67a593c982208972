"""What crosses between the front and the children of the zygote.

Comes in and goes out: frames (`frames`) that hold compact JSON made of dataclasses (`encoding`, `messages`), or Arrow
IPC bytes that nobody in the front decodes. Must not import DuckDB, Arrow or anything of asyncio: both sides load it.

INVARIANT: nothing is ever pickled, and a length is checked against the cap of its kind before memory is taken for it.
"""
