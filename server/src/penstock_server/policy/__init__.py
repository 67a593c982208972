"""From policy files to decisions: what may this principal see, now?

What comes in: files (`files.load`), a snapshot of the catalogs (`binding.bind`), then a principal and
what is known of the request.
What goes out: the decisions of `model.decision`, explanations, and for operators every problem of the files at once.
Must not import: identity, engines, aws, audit, state, query, credentials, service; no I/O outside `files`.

Invariants: nothing is visible that no grant shows (default deny); grants only ever add, every other layer only ever
takes away; a decision is a pure function of (bound policy, principal, facts of the request); layers are joined by
`IS TRUE` only; what cannot be understood exactly is refused at load, never approximated.
"""
