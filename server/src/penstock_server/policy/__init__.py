"""From policy files to decisions: what may this principal see, now?

What comes in: files (`reading.files.load`), a snapshot of the catalogs (`binding.bind`), then a principal and
what is known of the request.
What goes out: the decisions of `model.decision`, explanations, and for operators every problem of the files at once.
The way: `reading` to a `source`, `binding` to `bound`, then `evaluation` (tables), `resources` (AWS), `explanation`.
Beside it: `proof`, of what a change of policy does. `filters`, `masks`, `rules`, `tags` and `conditions` hold what is
theirs from text to meaning.
Must not import: identity, engines, aws, audit, state, query, credentials, service; no I/O outside `reading`.

Invariants: nothing is visible that no grant shows (default deny); grants only ever add, every other layer only ever
takes away; a decision is a pure function of (bound policy, principal, facts of the request); layers are joined by
`IS TRUE` only; what cannot be understood exactly is refused at load, never approximated.
"""
