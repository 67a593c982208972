"""Masks that live for one statement: the decision is given a salt that nothing else has ever had, or will have.

SECURITY: without a salt such a mask is printed for no reader, so whoever forgets this step reads nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace

from penstock_server.model.decision import CellCase, GovernedColumn, TableDecision
from penstock_server.model.masks import MaskKey, QueryDigestForm
from penstock_server.model.secret import Secret

_SALT_BYTES = 32


def new_salt() -> MaskKey:
    """Give a salt of 32 random bytes, in hex, for one statement: the same for all its tables, so that they join."""
    salt = Secret(secrets.token_hex(_SALT_BYTES))
    return MaskKey(mark=salt.mark(), secret=salt)


def for_statement(decision: TableDecision, salt: MaskKey) -> TableDecision:
    """Give the decision as it holds for one statement.

    Where a mask of it lives for a statement only, its fingerprint becomes one of this statement, so that nothing that
    is made by it, an extract for instance, is ever found again. Other decisions are given back as they are.
    """
    columns = tuple(_salted(column, salt) for column in decision.table.columns)
    if columns == decision.table.columns:
        return decision
    fingerprint = hashlib.sha256(f"statement {salt.mark} {decision.fingerprint}".encode()).hexdigest()
    return replace(decision, table=replace(decision.table, columns=columns), fingerprint=fingerprint)


def _salted(column: GovernedColumn, salt: MaskKey) -> GovernedColumn:
    cases = tuple(_salted_case(case, salt) for case in column.cases)
    fields = tuple(_salted(field, salt) for field in column.fields)
    return replace(column, cases=cases, fields=fields)


def _salted_case(case: CellCase, salt: MaskKey) -> CellCase:
    if case.mask is None or not isinstance(case.mask.form, QueryDigestForm):
        return case
    return replace(case, mask=replace(case.mask, form=QueryDigestForm(salt=salt)))
