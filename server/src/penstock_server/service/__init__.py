"""gRPC: bytes to questions for the broker, and its answers to bytes.

What comes in: calls on one port. What goes out: messages of `penstock.v1` and `google.rpc.Status`. No decision is made
here; each servicer unpacks, asks `broker`, and packs. The only package that speaks gRPC and protobuf. Must not import
`policy`, `identity`, `aws`, `audit` or `state`; of `query` and `credentials` it knows their `requests` alone, of
`engines` the link to the supervisor (`front`).

INVARIANT: a request is parsed only after its caller is authenticated.
INVARIANT: every answer, errors included, carries the trailer `x-request-id`.
INVARIANT: `status` alone turns errors into codes; an error that it does not know tells its request id and no more.
"""
