"""The command `penstock`.

What comes in: arguments, `PENSTOCK_*`, `~/.config/penstock/config.yaml`. What goes out: answers on standard output,
everything else on standard error, and one of five exit codes: 0 done, 1 error, 2 usage, 3 denied, 4 not signed in.
Uses the public client and holds no protocol of its own; grpc and protobuf are not imported here.

INVARIANT: no traceback, no token and no control character of a value reaches a terminal.
"""
