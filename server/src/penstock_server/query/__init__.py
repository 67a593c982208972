"""One decision and the caller's SQL to an answer: the query door.

What comes in: a verified principal, a `requests.QueryRequest`, the bound policy and an engine. What goes out: a header,
Arrow IPC bytes and a trailer. Must not import `service`, `broker` or what loads policies; an engine is known by
`engines.base` alone.

INVARIANT: no byte of an answer, the schema included, is handed out before the record that admits it is durable.
INVARIANT: one policy version decides a whole statement, however many tables it names.
INVARIANT: a statement that ends, in whatever way, leaves no process and no place in the queue behind.
"""
