"""Masks for tests, and what each form shows: independent of the engine, in the plainest Python."""

from __future__ import annotations

from penstock_server.model.masks import ConstantForm, Mask
from penstock_server.model.predicate import Constant
from penstock_server.model.schema import ColumnType


def constant_mask(
    kind: ColumnType, when_null: Constant | None, otherwise: Constant | None, *, name: str = "m", rank: int = 1
) -> Mask:
    return Mask(name=name, rank=rank, type=kind, form=ConstantForm(when_null=when_null, otherwise=otherwise))
