from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock_server.credentials.arns import RequestedArn, parse_s3_arn
from penstock_server.credentials.closed_locations import ConfiguredLocations, require_open
from penstock_server.credentials.location_index import LocationIndex, overlaps
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location
from penstock_server.policy.bound import BoundPolicy
from support.credentials import at, bound_policy, principal, table
from support.tokens import SteppedClock

B = "arn:aws:s3:::acme-lake"
CLOCK = SteppedClock()
ANALYST = principal("alice", "analysts")
OPS = principal("bob", "ops")

POLICY = """
grants:
  - {name: part, principals: ["group:analysts"], resource: lake.nyc.flights,
      permissions: [SELECT], rows: "origin = 'JFK'"}
  - {name: all, principals: ["group:ops"], resource: lake.nyc.flights, permissions: [SELECT]}
  - {name: planes, principals: ["group:ops"], resource: lake.nyc.planes, permissions: [SELECT]}
  - {name: airlines, principals: [everyone], resource: lake.nyc.airlines, permissions: [SELECT]}
  - {name: weather, principals: ["group:analysts"], resource: lake.nyc.weather, permissions: [DESCRIBE]}
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    return bound_policy(
        tmp_path_factory.mktemp("policy"),
        POLICY,
        table("nyc.flights", at("lake/nyc/flights/")),
        table("nyc.planes", at("lake/nyc/planes")),
        table("nyc.airlines", at("lake/nyc/airlines.parquet")),
        table("nyc.weather", at("lake/nyc/weather")),
        table("hr.people", at("lake/hr/people")),
        table("local.only", None),
    )


def require(policy: BoundPolicy, who: object, *texts: str, protected: S3Location | None = None) -> None:
    require_open(
        [parse_s3_arn(text, field="f") for text in texts],
        policy=policy,
        locations=LocationIndex(policy.snapshot.tables),
        principal=who,  # type: ignore[arg-type]  # a Principal; the fixture's type is wide for parametrize
        configured=ConfiguredLocations(protected=() if protected is None else (protected,), catalogs=(at("lake"),)),
        facts=RequestFacts.of_instant(CLOCK.now()),
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{B}/lake/nyc/flights/*",
        f"{B}/lake/nyc/flights/part-0.parquet",
        f"{B}/lake/nyc/flights/year=2013/*",
        f"{B}/lake/nyc/flights",
        f"{B}/lake/nyc/flights/",
        f"{B}/lake/nyc/flights//*",
        f"{B}/lake/nyc/*",
        f"{B}/lake/*",
        f"{B}/*",
        f"{B}/lake/nyc/weather/*",
        f"{B}/lake/nyc/weather",
        f"{B}/lake/hr/people/*",
        f"{B}/lake/hr/*",
    ],
)
def test_what_overlaps_a_table_that_is_not_full_is_closed_from_above_and_below(policy: BoundPolicy, text: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        require(policy, ANALYST, text)
    assert refused.value.reason is Reason.LOCATION_CLOSED
    assert "penstock query" in refused.value.hint


def test_one_closed_resource_closes_the_whole_request(policy: BoundPolicy) -> None:
    with pytest.raises(AccessDenied):
        require(policy, ANALYST, f"{B}/lake/nyc/airlines.parquet", f"{B}/lake/nyc/flights/*")


@pytest.mark.parametrize("text", [f"{B}/lake/nyc/airlines.parquet", f"{B}/lake/nyc/airlines.parquet/*"])
def test_a_table_that_is_full_is_open(policy: BoundPolicy, text: str) -> None:
    require(policy, ANALYST, text)


def test_who_sees_all_of_several_tables_may_have_them_together(policy: BoundPolicy) -> None:
    require(policy, OPS, f"{B}/lake/nyc/flights/*", f"{B}/lake/nyc/planes/*")
    with pytest.raises(AccessDenied):
        require(policy, OPS, f"{B}/lake/nyc/*")  # weather lies there too


@pytest.mark.parametrize("text", [f"{B}/lake/nyc/*", f"{B}/lake/*", f"{B}/*"])
def test_who_sees_all_of_every_table_may_not_have_the_prefix_above_them(tmp_path: Path, text: str) -> None:
    # What is put beside the tables after the policy was bound is hidden at the query door, so it is closed here.
    everything = bound_policy(
        tmp_path,
        'grants: [{name: all, principals: ["group:ops"], resource: "lake.*", permissions: [SELECT, RAW]}]',
        table("nyc.flights", at("lake/nyc/flights/")),
        table("nyc.planes", at("lake/nyc/planes")),
    )
    require(everything, OPS, f"{B}/lake/nyc/flights/*", f"{B}/lake/nyc/planes", f"{B}/lake/nyc/planes/part-0.parquet")
    with pytest.raises(AccessDenied) as refused:
        require(everything, OPS, text)
    assert "no table" in refused.value.detail


@pytest.mark.parametrize(
    "text",
    [
        f"{B}/lake2/nyc/flights/*",
        f"{B}/LAKE/nyc/flights/*",
        f"{B}//lake/nyc/flights/*",
        f"{B}/x/../lake/nyc/flights/*",
        "arn:aws:s3:::acme-lake2/lake/nyc/flights/*",
        f"{B}/lak",
    ],
)
def test_other_keys_are_other_keys_and_stay_open(policy: BoundPolicy, text: str) -> None:
    require(policy, ANALYST, text)


@pytest.mark.parametrize(
    "text",
    [
        f"{B}/lake/nyc/flights-2/*",
        f"{B}/lake/nyc/flights.parquet",
        f"{B}/lake/nyc//flights/*",
        f"{B}/lake/nyc/FLIGHTS/*",
        f"{B}/lake//nyc/flights/*",
        f"{B}/lake/_delta_log/*",
        f"{B}/lake",
    ],
)
def test_a_catalogs_location_is_closed_where_the_policy_knows_no_table(policy: BoundPolicy, text: str) -> None:
    for who in (ANALYST, OPS):
        with pytest.raises(AccessDenied) as refused:
            require(policy, who, text)
        assert "no table" in refused.value.detail


@pytest.mark.parametrize(
    "text", [f"{B}/athena/results/*", f"{B}/athena/results/q.csv", f"{B}/athena/*", f"{B}/athena/results"]
)
def test_a_protected_location_is_closed_to_everybody(policy: BoundPolicy, text: str) -> None:
    for who in (ANALYST, OPS):
        with pytest.raises(AccessDenied) as refused:
            require(policy, who, text, protected=at("athena/results/"))
        assert refused.value.reason is Reason.LOCATION_CLOSED


def test_a_protected_bucket_is_closed_as_a_whole(policy: BoundPolicy) -> None:
    with pytest.raises(AccessDenied):
        require(policy, OPS, "arn:aws:s3:::acme-results/any/thing", protected=at("", "acme-results"))


def test_the_answer_is_one_text_for_hidden_described_filtered_protected_and_unknown(policy: BoundPolicy) -> None:
    answers = set()
    for text in (
        f"{B}/lake/hr/people/*",
        f"{B}/lake/nyc/weather/*",
        f"{B}/lake/nyc/flights/*",
        f"{B}/athena/results/*",
        f"{B}/lake/unknown/*",
    ):
        with pytest.raises(AccessDenied) as refused:
            require(policy, ANALYST, text, protected=at("athena/results"))
        error = refused.value
        answers.add(
            (error.message.replace(text, "X"), error.hint, error.reason, str(error.metadata).replace(text, "X"))
        )
        assert "lake." not in error.message + error.hint + str(error.metadata)
    assert len(answers) == 1


def test_a_grant_that_ends_bounds_what_it_opened(tmp_path: Path) -> None:
    policy = bound_policy(
        tmp_path,
        'grants:\n  - {name: g, principals: ["group:ops"], resource: lake.nyc.flights, permissions: [SELECT],'
        " expires: 2026-11-24T09:40:00Z}\n",
        table("nyc.flights", at("lake/nyc/flights")),
    )
    ends = require_open(
        [parse_s3_arn(f"{B}/lake/nyc/flights/*", field="f")],
        policy=policy,
        locations=LocationIndex(policy.snapshot.tables),
        principal=OPS,
        configured=ConfiguredLocations(protected=(), catalogs=()),
        facts=RequestFacts.of_instant(CLOCK.now()),
    )
    assert [end.isoformat() for end in ends] == ["2026-11-24T09:40:00+00:00"]


@pytest.mark.parametrize(
    ("location", "requested", "meets"),
    [
        ("", "x", True),
        ("", "", True),
        ("a", "a/", True),
        ("a/", "a/", True),
        ("a", "", True),
        ("a/b", "a/", True),
        ("a/b", "a/b/c/", True),
        ("a/b", "a/b2/", False),
        ("a/b", "a/B/", False),
        ("a/b/", "a/b", True),
        ("a/b/", "a/", True),
        ("a/b//", "a/b/", True),
        ("a/b//", "a/b", False),
        ("a/b", "a", False),
        ("a/b", "a/b", True),
        ("a/b", "a/b.parquet", False),
    ],
)
def test_overlap_is_of_raw_text_with_and_without_the_closing_slash(location: str, requested: str, meets: bool) -> None:
    exact = bool(requested) and not requested.endswith("/")
    arn = RequestedArn(text="t", location=at(requested), exact=exact)
    assert overlaps(arn, at(location)) is meets
    assert not overlaps(arn, at(location, "another-bucket"))


SMALL = st.text(alphabet="a/", max_size=4)


@given(location=SMALL, prefix=SMALL, exact=st.booleans())
@settings(deadline=None)
def test_overlap_is_what_enumeration_says(location: str, prefix: str, exact: bool) -> None:
    requested = prefix or "a" if exact else (prefix if not prefix or prefix.endswith("/") else f"{prefix}/")
    keys = [""]
    for _ in range(7):
        keys.extend(key + letter for key in list(keys) for letter in "a/" if len(key) < 7)
    name = location.removesuffix("/")
    governed = {key for key in set(keys) if not location or key == name or key.startswith(f"{name}/")}
    asked = {key for key in set(keys) if (key == requested if exact else key.startswith(requested))}
    arn = RequestedArn(text="t", location=at(requested), exact=exact)
    assert overlaps(arn, at(location)) is bool(governed & asked)


@given(
    locations=st.lists(SMALL, max_size=12), prefix=SMALL, exact=st.booleans(), bucket=st.sampled_from(["b-1", "b-2"])
)
@settings(deadline=None)
def test_the_index_finds_exactly_the_tables_that_overlap(
    locations: list[str], prefix: str, exact: bool, bucket: str
) -> None:
    tables = [table(f"d.t{number}", at(key, "b-1")) for number, key in enumerate(locations)]
    tables += [table("d.elsewhere", at("a", "b-2")), table("d.nowhere", None)]
    requested = prefix or "a" if exact else (prefix if not prefix or prefix.endswith("/") else f"{prefix}/")
    arn = RequestedArn(text="t", location=at(requested, bucket), exact=exact)
    expected = {found.name for found in tables if found.location is not None and overlaps(arn, found.location)}
    found = LocationIndex(tables).overlapping(arn)
    assert {one.name for one in found} == expected
    assert len(found) == len(expected)
