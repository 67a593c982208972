"""An analyst wants the files of a table of which they see a part.

Whatever they ask, and however they spell it: either the door refuses, or the session that it issues can neither read
nor list a single governed key, even beside a bucket policy that allows everything to everybody.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from penstock_server.credentials.session_policy import literal
from penstock_server.errors import AccessDenied, InvalidRequest, NotFound, PenstockError, Reason
from penstock_server.model.decision import Access
from penstock_server.model.resource import S3Permission
from support.credentials import ACCOUNT, Doors, at, aws_request, bound_policy, doors, principal, table
from support.iam import Verdict, evaluate
from support.tokens import SteppedClock, request_context

B = "arn:aws:s3:::acme-lake"
ALICE = principal("alice", "analysts")
CONTEXT = request_context()
# Every permission on every key: nothing but the closed locations stands between Alice and the files.
POLICY = f"""
grants:
  - {{name: all, principals: [everyone], resource: "{B}/*", permissions: [{", ".join(sorted(S3Permission))}]}}
  - {{name: part, principals: [everyone], resource: lake.nyc.flights, permissions: [SELECT], rows: "origin = 'JFK'"}}
  - {{name: raw, principals: [everyone], resource: lake.nyc.flights, permissions: [RAW]}}
  - {{name: open, principals: [everyone], resource: lake.nyc.airlines, permissions: [SELECT, RAW]}}
"""
GOVERNED = (
    "lake/nyc",
    "lake/nyc/",
    "lake/nyc/part-0.parquet",
    "lake/nyc/year=2013/ssn=123/part-1.parquet",
    "lake/nyc/_delta_log/0.json",
    "lake/nyc//double",
    "lake/hidden",
    "lake/hidden/p.parquet",
    "lake/hidden/../airlines/x",
    "athena/results/alice.csv",
)
"""Keys of a table that Alice sees in part, of one that she does not see, and of a protected location."""


@pytest.fixture
def bench(tmp_path: Path, aws_url: str) -> Iterator[Doors]:
    policy = bound_policy(
        tmp_path,
        POLICY,
        table("nyc.flights", at("lake/nyc")),
        table("hr.people", at("lake/hidden/")),
        table("nyc.airlines", at("lake/airlines")),
    )
    clock = SteppedClock(instant=datetime.now(UTC))
    protected = [at("athena/results/")]
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, protected=protected) as opened:
        yield opened


def reaches_governed(session_policy: str) -> str | None:
    """Name a governed key that a session may read, write, delete or list, or give None."""
    for key in GOVERNED:
        context = {"aws:ResourceAccount": ACCOUNT}
        for action in ("GetObject", "GetObjectVersion", "PutObject", "DeleteObject", "ListMultipartUploadParts"):
            verdict = evaluate(session_policy, action=f"s3:{action}", resource=f"{B}/{key}", context=context)
            if verdict is not Verdict.EXPLICITLY_DENIED:
                return f"{action} {key}: {verdict}"
        prefixes: list[str | None] = [None, *(key[:length] for length in range(len(key) + 1))]
        for prefix in prefixes:
            listed = context if prefix is None else {**context, "s3:prefix": prefix}
            for action in ("ListBucket", "ListBucketVersions", "ListBucketMultipartUploads"):
                verdict = evaluate(session_policy, action=f"s3:{action}", resource=B, context=listed)
                if verdict is not Verdict.EXPLICITLY_DENIED:
                    return f"{action} {prefix!r}: {verdict}"
    return None


@pytest.mark.parametrize(
    "resource",
    [
        f"{B}/*",
        f"{B}/lake/*",
        f"{B}/lake/nyc",
        f"{B}/lake/nyc/",
        f"{B}/lake/nyc/*",
        f"{B}/lake/nyc/part-0.parquet",
        f"{B}/lake/nyc//*",
        f"{B}/lake/nyc/../nyc/*",
        f"{B}/lake/nyc/./*",
        f"{B}/lake/nyc/${{*}}",
        f"{B}/lake/hidden/*",
        f"{B}/lake/hidden",
        f"{B}/athena/*",
        f"{B}/athena/results/alice.csv",
        "lake.nyc.flights",
        "nyc.flights",
        "NYC.Flights",
    ],
)
async def test_the_governed_location_is_closed_from_above_below_and_beside(bench: Doors, resource: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        await bench.aws.issue(ALICE, aws_request(resource), CONTEXT)
    assert refused.value.reason is Reason.LOCATION_CLOSED
    assert bench.recorder.calls == []


@pytest.mark.parametrize(
    "resource",
    [
        "s3://acme-lake/lake/nyc/",
        "s3a://acme-lake/lake/nyc/*",
        "S3N://acme-lake/lake/nyc/*",
        f"{B}",
        f"{B}/",
        f"{B}/lake/nyc*",
        f"{B}/lake/n?c/*",
        f"{B}/l*/nyc/*",
        f"{B}/*/part-0.parquet",
        f"{B}/lake/${{penstock:x}}/*",
        f"{B}/lake/nyc/*\n",
        f"{B}/lake/nyc/\u0000/*",
        f"{B.upper()}/lake/nyc/*",
        "arn:aws:s3:::ACME-LAKE/lake/nyc/*",
        "arn:aws:s3:eu-west-1:111122223333:accesspoint/lake/object/lake/nyc/*",
        "arn:aws:s3:::lake-ap-xyz-s3alias/lake/nyc/*",
        "arn:aws:s3::111122223333:accesspoint/lake.mrap/object/lake/nyc/*",
        "arn:aws:s3express:eu-west-1:111122223333:bucket/acme-lake--euw1-az1--x-s3",
        "arn:aws:glue:eu-west-1:111122223333:table/nyc/fl*",
        "arn:aws:glue:eu-west-1:111122223333:table/nyc/flights/data",
        "arn:*:s3:::acme-lake/lake/nyc/*",
        "lake.nyc.flights/*",
    ],
)
async def test_a_spelling_that_is_not_one_of_ours_is_refused(bench: Doors, resource: str) -> None:
    with pytest.raises(InvalidRequest):
        await bench.aws.issue(ALICE, aws_request(resource), CONTEXT)
    assert bench.recorder.calls == []


@pytest.mark.parametrize(
    "resource",
    [
        f"{B}/lake/nyc-2/*",
        f"{B}/lake/NYC/*",
        f"{B}/lake//nyc/*",
        f"{B}//lake/nyc/*",
        f"{B}/lake/ny/*",
        f"{B}/lake/nyc%2F*".replace("%2F*", "%2F/*"),
        f"{B}/lake/n%79c/*",
        f"{B}/x/../lake/nyc/*",
        f"{B}/lake/${{*}}/*",
        f"{B}/lake/nyc\uff0f/*",
        f"{B}/athena/result",
        f"{B}/lake/airlines/*",
        "lake.nyc.airlines",
    ],
)
@pytest.mark.parametrize("access", [(Access.READ,), (Access.READ, Access.WRITE)])
async def test_a_neighbour_is_issued_and_reaches_no_governed_key(
    bench: Doors, resource: str, access: tuple[Access, ...]
) -> None:
    if Access.WRITE in access and not resource.startswith("arn:"):
        with pytest.raises(InvalidRequest):
            await bench.aws.issue(ALICE, aws_request(resource, access=access), CONTEXT)
        return
    issued = await bench.aws.issue(ALICE, aws_request(resource, access=access), CONTEXT)
    assert reaches_governed(issued.session_policy) is None


async def test_a_harmless_resource_does_not_carry_a_governed_one_with_it(bench: Doors) -> None:
    for resources in ((f"{B}/exports/*", f"{B}/lake/nyc/*"), ("lake.nyc.airlines", "lake.nyc.flights")):
        with pytest.raises(AccessDenied):
            await bench.aws.issue(ALICE, aws_request(*resources), CONTEXT)
    assert bench.recorder.calls == []


async def test_the_answers_tell_hidden_tables_from_missing_ones_nowhere(bench: Doors) -> None:
    texts = set()
    for name in ("lake.hr.people", "lake.hr.nobody"):
        with pytest.raises(NotFound) as refused:
            await bench.aws.issue(ALICE, aws_request(name), CONTEXT)
        texts.add(f"{refused.value.message}|{refused.value.hint}".replace(name, "X"))
    assert len(texts) == 1


PIECES = ("lake", "nyc", "hidden", "airlines", "athena", "results", "nyc-2", "", ".", "..", "*", "?", "x", "NYC", "$")


def random_resource(source: random.Random) -> str:
    pieces = [source.choice(PIECES) for _ in range(source.randint(0, 3))]
    key = literal("/".join(["lake", *pieces] if source.random() < 0.6 else pieces))
    ending = source.choice(("/*", "/*", "", "/", "*", "//*"))
    return f"{B}/{key}{ending}" if key else f"{B}{ending}"


async def test_no_generated_request_reaches_a_governed_key(bench: Doors) -> None:
    source = random.Random(20261124)
    issued, closed = 0, 0
    for _ in range(250):
        resources = [random_resource(source) for _ in range(source.randint(1, 2))]
        access = source.sample(list(Access), source.randint(1, 3))
        try:
            credentials = await bench.aws.issue(ALICE, aws_request(*resources, access=access), CONTEXT)
        except PenstockError as error:
            closed += error.reason is Reason.LOCATION_CLOSED
            continue
        issued += 1
        reached = reaches_governed(credentials.session_policy)
        assert reached is None, (resources, access, reached)
    assert issued > 20
    assert closed > 20
