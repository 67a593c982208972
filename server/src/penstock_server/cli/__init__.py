"""The operator's command line, `penstock-server`: one module a command.

What comes in: arguments, environment, files. What goes out: text for people (`terminal`) and exit codes: 0 done, 1 a
problem, 2 wrong usage. Each command's module is loaded only when it is asked for: `serve` becomes the supervisor, which
holds no gRPC and no DuckDB. Nothing imports this package.
"""
