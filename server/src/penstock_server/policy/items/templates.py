"""Leading keys of a grant: a text with at most one variable, which stands for something of the caller.

`${penstock:Username}`, `${penstock:PrincipalTag/NAME}` and `${penstock:Subject}` are replaced by the caller's own
value; `${*}`, `${?}` and `${$}` are the characters, as elsewhere in a policy. What is missing, or has several values,
replaces nothing: the whole grant then does not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock_server.model.dynamodb import why_no_key
from penstock_server.policy.conditions.keys import Key
from penstock_server.policy.conditions.patterns import Variable, parse_value

_OF_THE_CALLER: Final = frozenset({"username", "subject"})
_TAG: Final = "principaltag/"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTemplate:
    """A leading key as a grant writes it. `key` None = the text `before` as it stands."""

    text: str
    before: str
    key: Key | None
    after: str

    def resolved(self, values: Callable[[Key], tuple[str, ...]]) -> str | None:
        """Give the leading key for a caller; None where there is none that may be used."""
        if self.key is None:
            return self.before
        found = values(self.key)
        # SECURITY: `ORDER#` of a caller without a name must not become a key that everybody without a name shares.
        if len(found) != 1 or not found[0]:
            return None
        key = f"{self.before}{found[0]}{self.after}"
        return None if why_no_key(key) else key


def parse_key_template(text: str) -> KeyTemplate:
    """Read a leading key of a grant.

    Raises:
        ValueError: it is none; the text goes well after the key in backticks.
    """
    parts = parse_value(text, wildcards=False).parts
    variables = [part for part in parts if isinstance(part, Variable)]
    if len(variables) > 1:
        # SECURITY: two values beside each other could be cut in two ways, and one caller be taken for another.
        raise ValueError("holds more than one variable; of two values side by side nobody could tell which is which")
    if not variables:
        before = "".join(part for part in parts if isinstance(part, str))
        why = why_no_key(before)
        if why is not None:
            raise ValueError(f"{why}; write the value of a partition key")
        return KeyTemplate(text=text, before=before, key=None, after="")
    variable = variables[0]
    if variable.default is not None:
        raise ValueError("gives a variable a default, which all who lack the attribute would share; remove it")
    if variable.key.name not in _OF_THE_CALLER and not variable.key.name.startswith(_TAG):
        raise ValueError(
            f"holds a variable of `{variable.key}`; write `${{penstock:Username}}`, `${{penstock:Subject}}` or"
            " `${penstock:PrincipalTag/NAME}`"
        )
    place = parts.index(variable)
    before, after = (
        "".join(part for part in some if isinstance(part, str)) for some in (parts[:place], parts[place + 1 :])
    )
    why = why_no_key(f"{before}x{after}")
    if why is not None:
        raise ValueError(f"{why}; write the value of a partition key")
    return KeyTemplate(text=text, before=before, key=variable.key, after=after)
