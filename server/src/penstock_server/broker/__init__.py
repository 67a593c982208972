"""What the service asks: one module a family of calls, each authorised, decided and audited.

What comes in: a caller (`callers.Caller`) and typed questions. What goes out: values of `model`, `query.requests` and
`credentials.requests`, or one error of `errors`. `wiring.build` composes all parts, and it alone does. Must not import
`service`, gRPC or protobuf.

INVARIANT: every decision about an authenticated caller is in the audit, durable, before it is answered; refusals too.
INVARIANT: a caller is authorised before the question is validated.
"""
