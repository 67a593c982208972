"""What `doctor --aws` looks at: whether the account refuses what it must refuse, shown by trying.

Comes in: the configuration, and `aws.probes.Probes` as the broker's own identity. Goes out: `Finding` values. A refusal
is evidence only where the same call without the fault was answered; what nobody may look at is no verdict.

INVARIANT: nothing is written, but for the revocation drill, which is asked for by a flag of its own. Sessions that are
made live 15 minutes and reach one prefix that nobody uses.
"""
