"""Condition blocks before an evaluator of IAM policies that somebody else wrote.

Our keys stand for those of AWS: `PrincipalTag/*`, `SourceIp`, `CurrentTime`, `TokenAge` for `MultiFactorAuthAge`,
`AuthenticationMethods` for `TagKeys`, a key of several values. What is known to differ is not generated:

- a value that is not of the operator's kind, and several values under an operator for one: ours is false under either
  polarity;
- `ForAnyValue` with `IfExists`: refused when a policy is loaded;
- `${*}` under the string operators without wildcards, which theirs does not read as the character;
- a variable without a value under a negated operator: true in ours, as AWS says of a value that matches nothing.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.conditions.parsing import parse_condition
from support.iam_simulator import INSTALLED, NODE, SECONDS, install

CASES = 600
SCRIPT_FOLDER = Path(__file__).parent / "iam_conditions"
_AWS = {
    "penstock:PrincipalTag/a": "aws:PrincipalTag/a",
    "penstock:PrincipalTag/b": "aws:PrincipalTag/b",
    "penstock:SourceIp": "aws:SourceIp",
    "penstock:CurrentTime": "aws:CurrentTime",
    "penstock:TokenAge": "aws:MultiFactorAuthAge",
    "penstock:AuthenticationMethods": "aws:TagKeys",
}
_TEXTS = ["a", "A", "ab", "abc", "a*", "x", "b"]
_PATTERNS = [
    "a",
    "a*",
    "?b",
    "*",
    "a${*}",
    "A*",
    "*b*",
    "${penstock:PrincipalTag/b}",
    "${penstock:PrincipalTag/b, 'ab'}",
]
_ARNS = ["arn:aws:iam::1:role/x", "arn:aws:iam::2:role/x", "arn:aws:s3:::b/x:y", "arn:aws:iam::1:user/x"]
_ARN_PATTERNS = ["arn:aws:iam::*:role/*", "arn:aws:iam::1:role/?", "arn:*:s3:::*", "arn:aws:iam::1:role/x"]
_INSTANTS = ["2026-01-01T00:00:00Z", "2026-06-01T12:00:00Z", "2026-06-01T12:00:01Z", "2027-01-01T00:00:00Z"]
_NETWORKS = ["10.0.0.0/8", "10.1.2.3/32", "192.0.2.0/24", "2001:db8::/32"]
_ADDRESSES = ["10.1.2.3", "192.0.2.1", "2001:db8::1", "8.8.8.8"]
_NUMBERS = ["0", "5", "10", "60"]
_ORDERS = ("LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals", "Equals", "NotEquals")


@dataclass(frozen=True, kw_only=True)
class _Kind:
    keys: tuple[str, ...]
    operators: tuple[str, ...]
    wanted: list[str]
    found: list[str]


_KINDS = (
    _Kind(
        keys=("penstock:PrincipalTag/a", "penstock:AuthenticationMethods"),
        operators=("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
        wanted=["a", "A", "ab", "x"],
        found=_TEXTS,
    ),
    _Kind(
        keys=("penstock:PrincipalTag/a", "penstock:AuthenticationMethods"),
        operators=("StringLike", "StringNotLike"),
        wanted=_PATTERNS,
        found=_TEXTS,
    ),
    _Kind(
        keys=("penstock:PrincipalTag/a",),
        operators=("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
        wanted=_ARN_PATTERNS,
        found=_ARNS,
    ),
    _Kind(
        keys=("penstock:TokenAge",),
        operators=tuple(f"Numeric{order}" for order in _ORDERS),
        wanted=_NUMBERS,
        found=_NUMBERS,
    ),
    _Kind(
        keys=("penstock:CurrentTime",),
        operators=tuple(f"Date{order}" for order in _ORDERS),
        wanted=_INSTANTS,
        found=_INSTANTS,
    ),
    _Kind(keys=("penstock:SourceIp",), operators=("IpAddress", "NotIpAddress"), wanted=_NETWORKS, found=_ADDRESSES),
    _Kind(keys=("penstock:PrincipalTag/b",), operators=("Bool",), wanted=["true", "false"], found=["true", "false"]),
)

Written = dict[str, dict[str, list[str]]]


@dataclass(frozen=True, kw_only=True)
class _Case:
    block: Written
    context: dict[str, list[str]]


def _case(random: Random) -> _Case:
    block: Written = {}
    context: dict[str, list[str]] = {}
    for kind in random.sample(_KINDS, random.choice([1, 1, 1, 2, 3])):
        key = random.choice(kind.keys)
        several = key.endswith("AuthenticationMethods")
        prefix = random.choice(["ForAllValues:", "ForAnyValue:"]) if several else ""
        suffix = random.choice(["", "", "IfExists"]) if prefix != "ForAnyValue:" else ""
        operator = prefix + random.choice(kind.operators) + suffix
        if random.random() < 0.1:
            block.setdefault("Null", {})[key] = [random.choice(["true", "false"])]
        else:
            wanted = [one for one in kind.wanted if "Not" not in operator or "{penstock:" not in one]
            block.setdefault(operator, {})[key] = random.sample(
                wanted, random.randint(1, 1 if kind.operators == ("Bool",) else 2)
            )
        if random.random() < 0.8:
            context[key] = random.sample(kind.found, random.randint(1, 3) if several else 1)
    if "penstock:PrincipalTag/b" not in context and random.random() < 0.5:
        context["penstock:PrincipalTag/b"] = [random.choice(_TEXTS)] if "Bool" not in str(block) else ["true"]
    return _Case(block=block, context=context)


def _ours(case: _Case) -> bool:
    conditions = tuple(
        parse_condition(operator, key, tuple(values))
        for operator, keys in case.block.items()
        for key, values in keys.items()
    )
    context = {key.removeprefix("penstock:").lower(): tuple(values) for key, values in case.context.items()}
    return Block(conditions=conditions).holds(context)


def _theirs(cases: list[_Case]) -> list[str]:
    def aws(text: str) -> str:
        for own, key in _AWS.items():
            text = text.replace("${" + own, "${" + key)
        return text

    asked = [
        {
            "condition": {
                operator: {_AWS[key]: [aws(value) for value in values] for key, values in keys.items()}
                for operator, keys in case.block.items()
            },
            "context": {
                _AWS[key]: values if key.endswith("Methods") else values[0] for key, values in case.context.items()
            },
        }
        for case in cases
    ]
    script = (SCRIPT_FOLDER / "conditions.mjs").read_text()
    (INSTALLED / "conditions.mjs").write_text(script)
    run = subprocess.run(
        [NODE, "conditions.mjs"],
        cwd=INSTALLED,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    verdicts = json.loads(run.stdout)
    assert len(verdicts) == len(cases)
    return [str(verdict) for verdict in verdicts]


@pytest.fixture(scope="module", autouse=True)
def evaluator() -> None:
    install()


def test_a_foreign_evaluator_says_the_same_of_generated_blocks() -> None:
    random = Random("conditions")
    cases = [_case(random) for _ in range(CASES)]
    theirs = _theirs(cases)
    assert set(theirs) == {"Allowed", "ImplicitlyDenied"}
    different = [case for case, verdict in zip(cases, theirs, strict=True) if _ours(case) is not (verdict == "Allowed")]
    assert not different
    assert 0.2 < theirs.count("Allowed") / CASES < 0.8
