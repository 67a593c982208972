"""Values of every type: what lies between two constants, and what does not."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from penstock_server.model.predicate import Constant
from penstock_server.model.schema import TypeFamily
from penstock_server.policy.proof.regions import split
from penstock_server.policy.proof.scales import Point, Special, point_of, scale_of, shown
from penstock_server.policy.proof.terms import Below, OneOf
from support.policies import column_type

_TIME = datetime(2024, 1, 1, tzinfo=UTC)
_NAIVE = _TIME.replace(tzinfo=None)


def _between(sql: str, low: Constant | None, high: Constant | None, *taken: Constant) -> Point | None:
    kind = column_type(sql)
    scale = scale_of(kind)
    assert scale is not None
    points = [None if constant is None else point_of(constant, kind) for constant in (low, high)]
    return scale.between(points[0], points[1], {point_of(constant, kind) for constant in taken})


@pytest.mark.parametrize(
    ("sql", "low", "high"),
    [
        ("INTEGER", 6, 7),
        ("TINYINT", None, -128),
        ("TINYINT", 127, None),
        ("UTINYINT", None, 0),
        ("UBIGINT", 2**64 - 1, None),
        ("DECIMAL(6,2)", Decimal("1.49"), Decimal("1.50")),
        ("DECIMAL(2,1)", Decimal("9.9"), None),
        ("DOUBLE", 1.0, math.nextafter(1.0, 2.0)),
        ("DOUBLE", math.inf, None),
        ("DOUBLE", -math.ulp(0.0), 0.0),
        ("FLOAT", 1.0, 1.0000001192092896),
        ("BOOLEAN", False, True),
        ("DATE", date(2024, 2, 28), date(2024, 2, 29)),
    ],
)
def test_nothing_lies_in_an_empty_gap(sql: str, low: Constant | None, high: Constant | None) -> None:
    assert _between(sql, low, high) is None


@pytest.mark.parametrize(
    ("sql", "low", "high"),
    [
        ("INTEGER", 6, 8),
        ("HUGEINT", 2**100, None),
        ("UHUGEINT", None, 1),
        ("INTEGER", None, None),
        ("DECIMAL(6,2)", Decimal("1.49"), Decimal("1.51")),
        ("DOUBLE", 1.0, math.nextafter(math.nextafter(1.0, 2.0), 2.0)),
        ("DOUBLE", 1.7976931348623157e308, None),
        ("DOUBLE", -math.ulp(0.0), math.ulp(0.0)),
        ("FLOAT", 1.0, 1.000000238418579),
        ("DATE", date(9999, 12, 31), None),
        ("DATE", None, date(1, 1, 1)),
        ("TIMESTAMP", _NAIVE, _NAIVE.replace(microsecond=1)),
        ("TIMESTAMP WITH TIME ZONE", _TIME, _TIME.replace(microsecond=1)),
        ("TIMESTAMP", datetime.max, None),  # noqa: DTZ901 - a TIMESTAMP has no zone
    ],
)
def test_something_lies_in_every_other_gap(sql: str, low: Constant | None, high: Constant | None) -> None:
    kind, found = column_type(sql), _between(sql, low, high)
    assert found is not None
    assert low is None or Fraction(point_of(low, kind)) < Fraction(found)
    assert high is None or Fraction(found) < Fraction(point_of(high, kind))


def test_values_that_are_taken_are_gone_around() -> None:
    assert _between("INTEGER", 0, 4, 1, 2) == 3
    assert _between("INTEGER", 0, 4, 1, 2, 3) is None
    assert _between("BOOLEAN", None, None, True) == 0
    assert _between("BOOLEAN", None, None, True, False) is None
    assert _between("INTEGER", None, 3, 2, 1, 0) == -1
    found = _between("TIMESTAMP", _NAIVE, _NAIVE.replace(microsecond=1))
    assert found is not None
    scale = scale_of(column_type("TIMESTAMP"))
    assert scale is not None
    low = point_of(_NAIVE, column_type("TIMESTAMP"))
    other = scale.between(low, int(low) + 1, {found})
    assert other not in {None, found}


def test_zero_has_one_place_whatever_its_sign() -> None:
    assert point_of(-0.0, column_type("DOUBLE")) == point_of(0.0, column_type("DOUBLE")) == 0


def test_a_constant_that_a_narrower_type_does_not_have_lies_between_its_values() -> None:
    kind = column_type("FLOAT")
    point = point_of(0.1, kind)
    regions = split(
        kind,
        [OneOf(column="x", points=frozenset({point})), Below(column="x", bound=point, inclusive=True)],
        states=None,
    )
    one_of, below = regions.holds.values()
    assert one_of == 0
    assert 0 < below < regions.known


def test_a_constant_of_another_type_is_refused() -> None:
    for sql, constant in (("INTEGER", True), ("DATE", _NAIVE), ("BOOLEAN", 1), ("DOUBLE", math.nan), ("VARCHAR", 1)):
        with pytest.raises(TypeError):
            point_of(constant, column_type(sql))


def test_nan_is_a_region_of_its_own_in_which_nothing_is_known() -> None:
    kind = column_type("DOUBLE")
    regions = split(kind, [Below(column="x", bound=point_of(1.0, kind), inclusive=False)], states=None)
    assert regions.witnesses[-1] is Special.NAN
    nan = 1 << len(regions.witnesses) - 1
    assert not regions.known & nan
    assert regions.all & nan


def test_a_thousand_values_of_a_list_are_few_regions() -> None:
    kind = column_type("VARCHAR")
    atom = OneOf(column="s", points=frozenset(f"value {number}" for number in range(1_000)))
    assert len(split(kind, [atom], states=None).witnesses) == 3


@pytest.mark.parametrize("family", [family for family in TypeFamily if family is not TypeFamily.OTHER])
def test_every_region_has_a_value_that_can_be_written(family: TypeFamily) -> None:
    sql = {
        TypeFamily.TEXT: "VARCHAR",
        TypeFamily.INTEGER: "BIGINT",
        TypeFamily.DECIMAL: "DECIMAL(9,2)",
        TypeFamily.FLOAT: "FLOAT",
        TypeFamily.BOOLEAN: "BOOLEAN",
        TypeFamily.DATE: "DATE",
        TypeFamily.TIMESTAMP: "TIMESTAMP",
        TypeFamily.TIMESTAMP_TZ: "TIMESTAMP WITH TIME ZONE",
    }[family]
    kind = column_type(sql)
    assert all(shown(witness, kind) for witness in split(kind, [], states=None).witnesses)
