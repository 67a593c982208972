"""The only speaker of boto3: typed calls out, typed answers and Penstock's own errors back.

What comes in: frozen requests that were validated by their door. What goes out: frozen answers with `Secret` fields,
or an error of `penstock_server.errors`; AWS's own text never leaves this package but as `detail` for the audit.
Must not import any other package of ours but `config`, `model` and `errors`.

INVARIANT: every call runs in one bounded executor with bounded retries and time-outs; the event loop never blocks.
INVARIANT: endpoint and region come from Penstock's configuration alone.
"""
