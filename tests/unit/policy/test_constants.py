"""Constants by the type of their column: an exact value or none."""

from __future__ import annotations

from datetime import date

import pytest
from penstock_server.model.predicate import Compare, Constant
from penstock_server.policy.constants import CLAIM_FAMILIES, constant_of_claim
from penstock_server.policy.encoding import encode_predicate
from penstock_server.policy.filters.binding import bind_filter
from penstock_server.policy.filters.row_filter import parse_filter
from penstock_server.policy.filters.row_tests import Fixed
from support.policies import column_type, table


@pytest.mark.parametrize(
    ("kind", "claim", "constant"),
    [
        ("VARCHAR", "", ""),
        ("VARCHAR", " a ", " a "),
        ("VARCHAR", "a\0b", None),
        ("VARCHAR", "\ud800", None),
        ("INTEGER", "7", 7),
        ("INTEGER", "-7", -7),
        ("INTEGER", "0", 0),
        *(
            ("INTEGER", text, None)
            for text in ("07", "+7", " 7", "7 ", "7.0", "7e0", "-0", "", "seven", "\u0667", "0x7")
        ),
        ("TINYINT", "127", 127),
        ("TINYINT", "128", None),
        ("UTINYINT", "-1", None),
        ("BOOLEAN", "true", True),
        ("BOOLEAN", "false", False),
        *(("BOOLEAN", text, None) for text in ("TRUE", "1", "yes", "t", "")),
        ("DATE", "2026-02-28", date(2026, 2, 28)),
        *(("DATE", text, None) for text in ("2026-02-29", "2026-2-1", "2026-02-28T00:00:00Z", "20260228", "today")),
    ],
)
def test_a_claim_is_a_value_of_the_type_exactly_or_nothing(kind: str, claim: str, constant: Constant | None) -> None:
    assert repr(constant_of_claim(claim, column_type(kind))) == repr(constant)


@pytest.mark.parametrize("kind", ["DOUBLE", "DECIMAL(6,2)", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "BLOB"])
def test_other_families_take_no_claim(kind: str) -> None:
    assert column_type(kind).family not in CLAIM_FAMILIES
    assert constant_of_claim("1", column_type(kind)) is None


def test_zero_has_one_sign() -> None:
    """The two zeros are equal, so that filters which differ by the sign alone are one relation."""
    schema = table("lake.db.t", {"c": "DOUBLE"})
    bound = [bind_filter(parse_filter(text), schema) for text in ("c = 0", "c = -0.0")]
    predicates = [test.predicate for test in bound if isinstance(test, Fixed)]
    assert len({encode_predicate(predicate) for predicate in predicates}) == 1
    assert all(isinstance(predicate, Compare) and repr(predicate.value) == "0.0" for predicate in predicates)
