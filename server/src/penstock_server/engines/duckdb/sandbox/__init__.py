"""Takes rights away from the calling process, for good.

`confinement` puts the barriers up in the order in which they must stand; each other module is one of them. Must not
import DuckDB, Arrow or anything above the engine: it runs in a child that has opened nothing yet.

INVARIANT: barriers bind the calling thread and those it starts later, so they stand before anything starts a thread;
where a barrier cannot stand, the process does not serve.
"""
