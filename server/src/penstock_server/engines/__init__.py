"""Where governed data is read and SQL is run.

What comes in: governed tables (`model.decision`) and the caller's text. What goes out: Arrow IPC bytes. `base` is the
interface that `query/` drives; each engine is one package that alone imports its driver. Must not import `query`,
`policy`, `service` or a sibling layer.

INVARIANT: the caller's text never enters a process that has held a hidden byte; a process that has never enters the
caller's text.
"""
