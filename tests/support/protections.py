"""Protections switched off one at a time: each must hold its attack, and nothing else may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Weaken = Callable[[pytest.MonkeyPatch], None]
Attack = Callable[[Path], bool]
"""Says whether the attack got through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One protection: how a weaker set is made without it, and the attack that it holds."""

    name: str
    weaken: Weaken
    attack: Attack

    def require_alone(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Require that the attack fails with the protection and gets through without it."""
        held, open_ = folder / "held", folder / "open"
        held.mkdir()
        open_.mkdir()
        assert not self.attack(held)
        self.weaken(patch)
        assert self.attack(open_)


def off(owner: object, name: str, value: object) -> Weaken:
    """Put a value in the place of something."""
    return lambda patch: patch.setattr(owner, name, value)
