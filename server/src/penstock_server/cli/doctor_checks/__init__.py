"""What `penstock-server doctor` looks at: one module a subject, each giving findings in the words of `finding`.

Comes in: the configuration and this machine. Goes out: `Finding` values, printed by `printing`. A check never raises
for what it finds, and one that could not look says so: it is no verdict.
"""
