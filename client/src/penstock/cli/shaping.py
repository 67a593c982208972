"""How the policy shaped an answer, for people: marks on columns and one closing sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock import AppliedPolicy

NULL_MARK = "*"
"""Behind NULL, and behind the name of a column, where the policy may be the cause."""


class Marks:
    """Which columns of an answer show a mask or NULLs of the policy.

    An answer does not tell where its columns come from, so they are found by name, in any case: a renamed column has
    no mark, and the closing sentence tells the rest.
    """

    def __init__(self, policies: Sequence[AppliedPolicy]) -> None:
        """Take the policies that shaped the answer."""
        self._masks = {each.column.lower(): each.mask for policy in policies for each in policy.masked_columns}
        self._partly_null = {name.lower() for policy in policies for name in policy.partly_null_columns}

    def mask(self, column: str) -> str:
        """Give the name of the mask that a column shows, empty for none."""
        return self._masks.get(column.lower(), "")

    def partly_null(self, column: str) -> bool:
        """Tell whether cells of a column are NULL on some rows by policy."""
        return column.lower() in self._partly_null

    def heading(self, column: str) -> str:
        """Give the name of a column with its marks."""
        mask = f" [{self.mask(column)}]" if self.mask(column) else ""
        return column + (NULL_MARK if self.partly_null(column) else "") + mask


def sentence(policies: Sequence[AppliedPolicy], *, policy_version: str = "") -> str:
    """Give one line that says which policy shaped an answer, without a full stop."""
    version = f"policy {policy_version[:12]}: " if policy_version else ""
    if not policies:
        return f"{version}no table was read"
    return version + "; ".join(_table(each) for each in policies)


def _table(policy: AppliedPolicy) -> str:
    effects = ", ".join(_effects(policy)) or "whole"
    return f"{policy.table} {effects} (by {', '.join(policy.grants)})"


def _effects(policy: AppliedPolicy) -> Iterator[str]:
    if policy.columns_left_out:
        rules = ["column rules"] if policy.column_rules_applied else []
        yield f"columns left out{_by((*policy.column_list_grants, *rules))}"
    if policy.rows_filtered:
        yield f"rows filtered{_by((*policy.row_filter_grants, *policy.row_rules))}"
    for each in policy.masked_columns:
        yield f"{each.column} masked [{each.mask}]"
    if policy.partly_null_columns:
        names = ", ".join(f"{name}{NULL_MARK}" for name in policy.partly_null_columns)
        yield f"{names} NULL on some rows"


def _by(who: Sequence[str]) -> str:
    return f" by {', '.join(who)}" if who else ""
