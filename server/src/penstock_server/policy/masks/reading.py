"""Reads the entries under `masks` of a policy file."""

from __future__ import annotations

import re
from typing import Final

from penstock_server.config.document import MapNode, Node, ScalarNode
from penstock_server.config.secrets import SecretReferences
from penstock_server.errors import ConfigurationError
from penstock_server.model.masks import (
    AlphanumericForm,
    GlobalDigestForm,
    KeyedHashForm,
    MaskKey,
    PartialForm,
    Period,
    QueryDigestForm,
    TruncatedForm,
)
from penstock_server.policy.filters.nodes import Literal, LiteralKind
from penstock_server.policy.filters.tokens import ExpressionError
from penstock_server.policy.masks.declared import (
    ConstantSource,
    ExpressionSource,
    FixedValues,
    FormSource,
    MaskSource,
    RoundSource,
)
from penstock_server.policy.masks.parsing import null_test, parse_mask_expression
from penstock_server.policy.masks.stated_types import parse_mask_type
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.cells import parse_name
from penstock_server.policy.reading.fields import Fields, Keys, Text

MAX_RANK: Final = 1_000_000
"""Highest rank of a mask; the lowest is 0."""

MAX_KEPT: Final = 1_000
"""Most characters that `partial` keeps at either end."""

MIN_KEY: Final = 32
"""Fewest characters of a key: 128 bits in hex. Whoever guesses the key undoes the hash by trying values."""

_NULL: Final = ConstantSource(when_null=None, otherwise=None)
_PLAIN: Final[dict[str, FormSource]] = {
    "null": _NULL,
    "redact": FixedValues.REDACT,
    "year": TruncatedForm(period=Period.YEAR),
    "month": TruncatedForm(period=Period.MONTH),
    "mask-alphanum": AlphanumericForm(keep_first=0, keep_last=0),
    "show-first-4": AlphanumericForm(keep_first=4, keep_last=0),
    "show-last-4": AlphanumericForm(keep_first=0, keep_last=4),
    "mask-to-fixed-value": FixedValues.ICEBERG,
    "replace-with-null": _NULL,
    "truncate-to-year": TruncatedForm(period=Period.YEAR),
    "truncate-to-month": TruncatedForm(period=Period.MONTH),
    "sha-256-global": GlobalDigestForm(),
    "sha-256-query-local": QueryDigestForm(salt=None),
}
"""The builtin masks without keys of their own."""

_PARAMETERS: Final[dict[str, frozenset[str]]] = {
    "hash": frozenset({"key"}),
    "partial": frozenset({"keep_first", "keep_last", "with"}),
    "round": frozenset({"to"}),
}
_OWN: Final = frozenset({"rank", "builtin", "expression", "type"})
_AS_KEYS: Final = (
    frozenset(_PLAIN) | frozenset(_PARAMETERS),
    "write `builtin: NAME` and its options beside it, such as `builtin: partial, keep_last: 4`",
)
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def read_mask(name: Text, node: Node, secrets: SecretReferences, problems: Problems) -> MaskSource | None:
    """Read one entry under `masks`; keys of hashes are resolved by `secrets`."""
    try:
        parse_name(name.value)
    except ValueError as error:
        problems.add(name.place, f"mask `{name.value}` {error}")
        return None
    if not isinstance(node, MapNode):
        problems.add(name.place, f"the mask `{name.value}` must hold keys with values")
        return None
    return _Reader(name, node, secrets, problems).mask()


class _Reader:
    """Reads one mask."""

    def __init__(self, name: Text, node: MapNode, secrets: SecretReferences, problems: Problems) -> None:
        self._name = name
        self._secrets = secrets
        self._problems = problems
        builtin = node.node("builtin")
        self._builtin = builtin.text if isinstance(builtin, ScalarNode) else None
        own = _PARAMETERS.get(self._builtin or "", frozenset())
        elsewhere = tuple((keys - own, f"it goes with `builtin: {owner}`") for owner, keys in _PARAMETERS.items())
        self._fields = Fields(
            node,
            Keys(what="a mask", known=_OWN | own, unavailable=frozenset(), elsewhere=(*elsewhere, _AS_KEYS)),
            problems,
        )

    def mask(self) -> MaskSource | None:
        """Give the mask, or None where something of it is wrong."""
        before = len(self._problems)
        rank = self._rank()
        kind = self._fields.parsed("type", parse_mask_type) if self._fields.has("type") else None
        form = self._form()
        if rank is None or form is None or len(self._problems) > before:
            return None
        if isinstance(form, ExpressionSource) and kind is None:
            self._problems.add(
                self._name.place, f"the mask `{self._name.value}` computes from the value; state its `type`"
            )
            return None
        builtin = self._builtin if self._fields.has("builtin") else None
        return MaskSource(
            name=self._name.value, place=self._name.place, rank=rank, form=form, type=kind, builtin=builtin
        )

    def _rank(self) -> int | None:
        node = self._fields.node("rank")
        if node is None:
            return None
        rank = _whole(node)
        if rank is None or rank > MAX_RANK:
            self._problems.add(node.place, f"`rank` must be a whole number from 0 to {MAX_RANK}")
            return None
        return rank

    def _form(self) -> FormSource | None:
        if self._fields.has("builtin") == self._fields.has("expression"):
            self._problems.add(
                self._name.place, f"the mask `{self._name.value}` needs exactly one of `builtin` and `expression`"
            )
            return None
        if not self._fields.has("builtin"):
            return self._expression()
        # `builtin: null` is the YAML null and means the mask of that name all the same: it shows the least there is.
        plain = _PLAIN.get(self._builtin or "")
        if plain is not None:
            return plain
        match self._builtin:
            case "hash":
                return self._hash()
            case "partial":
                return self._partial()
            case "round":
                return self._round()
        if not isinstance(node := self._fields.node("builtin"), ScalarNode):
            if node is not None:
                self._problems.add(node.place, f"`builtin` must be a text; {_AS_KEYS[1]}")
            return None
        text = self._fields.text("builtin")
        if text is not None:
            known = ", ".join(f"`{name}`" for name in (*_PLAIN, *_PARAMETERS))
            self._problems.add(text.place, f"`{text.value}` is no builtin mask; there are {known}")
        return None

    def _expression(self) -> FormSource | None:
        text = self._fields.expression("expression")
        if text is None:
            return None
        try:
            node = parse_mask_expression(text.value)
        except ExpressionError as error:
            self._problems.add(text.place, f"`expression`, character {error.position + 1}: {error.message}")
            return None
        constants = null_test(node)
        if constants is None:
            return ExpressionSource(node=node)
        return ConstantSource(when_null=constants[0], otherwise=constants[1])

    def _hash(self) -> FormSource | None:
        text = self._fields.text("key")
        if text is None:
            return None
        if not text.value.startswith("env:"):
            # SECURITY: never the text, which may be the secret; and no file, as a policy may come from a caller.
            self._problems.add(
                text.place,
                f"`key` of the mask `{self._name.value}` must be a reference to a secret, `env:NAME`, never the secret "
                "itself",
            )
            return None
        try:
            secret = self._secrets.resolve_key(text.value, characters=MIN_KEY)
        except ConfigurationError as error:
            for problem in error.problems:
                self._problems.add(text.place, f"`key` of the mask `{self._name.value}`: {problem}")
            return None
        return KeyedHashForm(key=MaskKey(mark=secret.mark(), secret=secret))

    def _partial(self) -> FormSource | None:
        first, last = self._kept("keep_first"), self._kept("keep_last")
        filler = self._filler()
        if first is None or last is None or filler is None:
            return None
        if first + last == 0:
            self._problems.add(
                self._name.place, f"the mask `{self._name.value}` keeps nothing; give it `keep_first` or `keep_last`"
            )
            return None
        return PartialForm(keep_first=first, keep_last=last, filler=filler)

    def _kept(self, key: str) -> int | None:
        node = self._fields.node(key) if self._fields.has(key) else None
        if node is None:
            return 0
        kept = _whole(node)
        if kept is None or kept > MAX_KEPT:
            self._problems.add(node.place, f"`{key}` must be a whole number from 0 to {MAX_KEPT}")
            return None
        return kept

    def _filler(self) -> str | None:
        node = self._fields.node("with") if self._fields.has("with") else None
        if node is None:
            return "*"
        value = node.value if isinstance(node, ScalarNode) else None
        # One byte for each character: what is shown is never larger than the value, whatever the value is.
        if not isinstance(value, str) or len(value) != 1 or not value.isascii() or not value.isprintable():
            self._problems.add(node.place, '`with` must be one printable ASCII character in quotes, such as "*"')
            return None
        return value

    def _round(self) -> FormSource | None:
        node = self._fields.node("to")
        if node is None:
            return None
        number = isinstance(node, ScalarNode) and isinstance(node.value, int | float) and _NUMBER.fullmatch(node.text)
        if not isinstance(node, ScalarNode) or not number:
            self._problems.add(node.place, "`to` must be a number above zero, such as 1000 or 0.5")
            return None
        return RoundSource(to=Literal(kind=LiteralKind.NUMBER, text=node.text, position=0))


def _whole(node: Node) -> int | None:
    value = node.value if isinstance(node, ScalarNode) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
