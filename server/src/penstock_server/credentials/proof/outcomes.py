"""What a proof comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Doubt(StrEnum):
    """Why there is no proof, as the continuation of "the session policy ...": of the text, then of the decision."""

    NOT_UNDERSTOOD = "is not understood"
    TOO_MANY_STEPS = "takes too many steps"
    ALLOWS_MORE = "allows a request that was not decided"
    BROAD_ALLOW = "has an Allow that holds a request which was not decided, and which a Deny alone stops"
    NOT_FENCED = "does not deny explicitly a request that was not decided"
    ALLOWS_LESS = "does not allow a request that was decided"
    NOT_GRANTED = "rests on a decision that holds what no grant gives"
    DENIED = "rests on a decision that holds what a denial takes away"
    NOT_ASKED = "rests on a decision that holds what was not asked for"
    NOT_LOOKED_UP = "rests on a decision that holds what was not looked up among the closed locations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to AWS, as a witness; action and keys are in lower case, a value is None where its key is absent."""

    action: str
    resource: str
    context: tuple[tuple[str, str | None], ...]

    def __str__(self) -> str:
        context = ", ".join(f"{key} is {'absent' if value is None else repr(value)}" for key, value in self.context)
        return f"{self.action} on {self.resource!r}" + (f" where {context}" if context else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedPolicy:
    """The text of a session policy that was proved. Only `prove` makes one."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No proof. `witness` is a request which shows why, where one was found; `detail` what was not understood."""

    doubt: Doubt
    detail: str = ""
    witness: Request | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.doubt.value, self.detail, str(self.witness or "")) if part)
