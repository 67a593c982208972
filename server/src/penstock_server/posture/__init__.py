"""Is the data behind a grant encrypted and private?

What comes in: the bound policy and the catalogs' locations; what AWS says of a bucket, through the port
`model.ports.BucketCheck`. What goes out: `model.posture.Posture`, a frozen snapshot for decisions, and findings for
people. Must not import: service, broker, query, credentials, aws.

INVARIANT: nothing here says yes: what is not known, or was found too long ago, meets no requirement.
"""
