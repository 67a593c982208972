"""Tables whose files are objects of a store, read by a process that has neither network nor credential.

In: a table's objects as they were listed, and a `model.ports.ObjectStore` in the front. Out: a reader in which DuckDB
opens these objects as it opens files. Between them a socket, on which the reader asks for ranges of objects by their
number; it can name no other object, no endpoint and no identity.
"""
