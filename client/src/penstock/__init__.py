"""Client of Penstock, a fine-grained access broker for data on AWS.

```
import penstock

with penstock.connect("localhost:50051", token=...) as broker:
    table = broker.query("select * from nyc.flights").to_arrow()
```

`penstock.aio` is the same for asyncio. Needs grpcio, protobuf and googleapis-common-protos; what else a call needs is
named in its error (`arrow`, `pandas`, `boto`, `cli`).
"""

from penstock import aio, login
from penstock.bearer import TokenFile
from penstock.client import Broker, Result, connect
from penstock.credentials import AwsCredentials, Door, Lease, LeaseState, RedshiftLogin, RevokedLease
from penstock.decisions import (
    AppliedPolicy,
    Column,
    ExplainedPrincipal,
    Explanation,
    Identity,
    MaskedColumn,
    QueryExplanation,
    Table,
    TableAccess,
    TableCheck,
    Verdict,
)
from penstock.errors import (
    AccessDenied,
    FieldViolation,
    InvalidRequest,
    LimitExceeded,
    MissingExtra,
    NameNotFound,
    NotFound,
    PenstockError,
    QueryError,
    Unauthenticated,
    Unavailable,
)
from penstock.policies import (
    PolicyChange,
    PolicyClass,
    PolicyInference,
    PolicyInForce,
    PolicyPlan,
    PolicyProblem,
    PolicyReload,
    PolicySubject,
    PolicyValidation,
    PolicyVerdict,
    PolicyWitness,
)

__all__ = [
    "AccessDenied",
    "AppliedPolicy",
    "AwsCredentials",
    "Broker",
    "Column",
    "Door",
    "ExplainedPrincipal",
    "Explanation",
    "FieldViolation",
    "Identity",
    "InvalidRequest",
    "Lease",
    "LeaseState",
    "LimitExceeded",
    "MaskedColumn",
    "MissingExtra",
    "NameNotFound",
    "NotFound",
    "PenstockError",
    "PolicyChange",
    "PolicyClass",
    "PolicyInForce",
    "PolicyInference",
    "PolicyPlan",
    "PolicyProblem",
    "PolicyReload",
    "PolicySubject",
    "PolicyValidation",
    "PolicyVerdict",
    "PolicyWitness",
    "QueryError",
    "QueryExplanation",
    "RedshiftLogin",
    "Result",
    "RevokedLease",
    "Table",
    "TableAccess",
    "TableCheck",
    "TokenFile",
    "Unauthenticated",
    "Unavailable",
    "Verdict",
    "aio",
    "connect",
    "login",
]
