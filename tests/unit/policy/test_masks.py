"""Masks as a policy states them: what they warn of, their keys, and what goes into a fingerprint."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from penstock_server.config.secrets import SecretReferences
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import TableDecision
from penstock_server.model.masks import KeyedHashForm
from penstock_server.model.request import RequestFacts
from penstock_server.model.secret import Secret
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.encoding import encode_mask
from penstock_server.policy.evaluation import decide
from penstock_server.policy.masks.disclosures import mask_warnings
from penstock_server.policy.reading.files import load
from support.policies import ISSUERS, NOW, bind_policy, load_policy, name_of, principal, table, write_policies

KEY = "a key of at least so many characters"
_TABLE = table("lake.db.t", {"s": "VARCHAR", "i": "INTEGER", "l": "BIGINT", "d": "DATE"})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_MASK_KEY", KEY)


def _policy(folder: Path, column: str, mask: str) -> BoundPolicy:
    grant = f"{{name: g, principals: [everyone], resource: lake.db.t, permissions: [SELECT], masks: {{{column}: m}}}}"
    return bind_policy(folder, f"version: 1\nmasks:\n  m: {{rank: 1, {mask}}}\ngrants:\n  - {grant}\n", _TABLE)


def _decision(policy: BoundPolicy) -> TableDecision:
    outcome = decide(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    return outcome


WARNINGS: list[tuple[str, list[str]]] = [
    ('builtin: "null"', []),
    ("builtin: redact", []),
    ("builtin: mask-to-fixed-value", []),
    ("expression: \"'x'\"", []),
    ("expression: \"CASE WHEN value IS NULL THEN NULL ELSE 'x' END\"", ["whether there is a value"]),
    ("builtin: partial, keep_last: 4", ["of one with 5 characters hides a single one"]),
    ("builtin: partial, keep_last: 4, keep_first: 2", ["7 characters hides a single one", "keeps 6 characters"]),
    ("builtin: show-last-4", ["length", "a value of 4 characters or fewer as it is"]),
    ("builtin: mask-alphanum", ["length of a value, its punctuation"]),
    ('builtin: hash, key: "env:PENSTOCK_TEST_MASK_KEY"', ["equal values as equal"]),
    ("builtin: sha-256-global", ["no key"]),
    ("builtin: sha-256-query-local", ["within one statement"]),
    ("builtin: year", ["the year; where few rows share one"]),
    ("builtin: truncate-to-month", ["the year and month"]),
    ("builtin: round, to: 1000", []),
    ("builtin: round, to: 5", ["rounds to 5 only"]),
    ("expression: value, type: varchar", ["shows the value as it is"]),
    ("expression: \"upper(value) || 'x'\", type: varchar", ["shows the value as it is"]),
    ("expression: \"'***' || right(value, 4)\", type: varchar", ["a value of 4 characters or fewer as it is"]),
    ('expression: "substring(value, 1, 3)", type: varchar', ["the beginning of a value"]),
    ('expression: "CAST(length(value) AS VARCHAR)", type: varchar', ["tells the length"]),
    (
        "expression: \"CASE WHEN value = 'a' THEN value ELSE 'x' END\", type: varchar",
        ["tells which test a value meets", "shows the value itself in some cells"],
    ),
]


@pytest.mark.parametrize(("mask", "expected"), WARNINGS, ids=[mask for mask, _ in WARNINGS])
def test_a_mask_that_shows_more_than_it_seems_to_is_warned_of(mask: str, expected: list[str], tmp_path: Path) -> None:
    source = load_policy(tmp_path, f"version: 1\nmasks:\n  m: {{rank: 1, {mask}}}\n")
    found = mask_warnings(source)
    assert len(found) == len(expected)
    for warning, part in zip(found, expected, strict=True):
        assert part in warning.message
        assert str(warning) == f"{tmp_path}/policies/policy.yaml:3: the mask `m` {warning.message}"


def test_two_hashes_with_one_key_are_warned_of_as_linkable(tmp_path: Path) -> None:
    mask = '{rank: 1, builtin: hash, key: "env:PENSTOCK_TEST_MASK_KEY"}'
    found = mask_warnings(load_policy(tmp_path, f"version: 1\nmasks:\n  a: {mask}\n  b: {mask}\n"))
    assert sum("can be linked across their columns" in warning.message for warning in found) == 2


def test_a_key_comes_from_the_resolver_that_is_given(tmp_path: Path) -> None:
    text = 'version: 1\nmasks:\n  m: {rank: 1, builtin: hash, key: "env:K"}\n'
    paths = (write_policies(tmp_path, {"policy.yaml": text}),)
    (mask,) = load(paths, ISSUERS, secrets=SecretReferences({"K": KEY})).masks
    assert isinstance(mask.form, KeyedHashForm)
    assert mask.form.key.secret == Secret(KEY)
    for environ in ({}, {"K": ""}, {"K": "x" * 31}):
        with pytest.raises(ConfigurationError) as refused:
            load(paths, ISSUERS, secrets=SecretReferences(environ))
        (problem,) = refused.value.problems
        assert "policy.yaml:3: `key` of the mask `m`: `env:K`: " in problem
        assert "x" * 31 not in problem
    with pytest.raises(ConfigurationError, match="no text in UTF-8") as undecodable:
        load(paths, ISSUERS, secrets=SecretReferences({"K": "k" * 40 + "\udcff"}))
    assert undecodable.value.__cause__ is None
    assert "k" * 40 not in str(undecodable.value)


def _leaves(value: Any, seen: set[int]) -> list[str]:
    """Everything that a value says of itself, at every depth."""
    if id(value) in seen:
        return []
    seen.add(id(value))
    found = [repr(value), str(value)]
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            found += _leaves(getattr(value, field.name), seen)
    elif isinstance(value, dict):
        for key, item in value.items():
            found += [*_leaves(key, seen), *_leaves(item, seen)]
    elif isinstance(value, tuple | list | frozenset | set):
        for item in value:
            found += _leaves(item, seen)
    return found


def test_no_part_of_a_policy_or_decision_prints_its_key(tmp_path: Path) -> None:
    policy = _policy(tmp_path, "s", 'builtin: hash, key: "env:PENSTOCK_TEST_MASK_KEY"')
    texts = _leaves(policy, set()) + _leaves(_decision(policy), set())
    assert any("KeyedHashForm" in text for text in texts)
    assert not any(KEY in text or KEY.encode().hex() in text for text in texts)


def test_a_fingerprint_confirms_no_guess_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a mark of the key that only this process can make."""
    found = []
    for key in (KEY, KEY + "!", KEY):
        monkeypatch.setenv("PENSTOCK_TEST_MASK_KEY", key)
        policy = _policy(tmp_path, "s", 'builtin: hash, key: "env:PENSTOCK_TEST_MASK_KEY"')
        found.append((_decision(policy).fingerprint, policy.version))
    assert found[0] == found[2]
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]
    program = f"from penstock_server.model.secret import Secret; print(Secret({KEY!r}).mark())"
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert elsewhere.stdout.strip() != Secret(KEY).mark()
    assert Secret(KEY).mark() == Secret(KEY).mark() != Secret(KEY + "!").mark()


def test_masks_that_show_otherwise_are_encoded_otherwise(tmp_path: Path) -> None:
    texts = [
        *('builtin: "null"', "builtin: redact", "builtin: mask-to-fixed-value", "builtin: mask-alphanum"),
        *("builtin: show-first-4", "builtin: show-last-4", "builtin: sha-256-global", "builtin: sha-256-query-local"),
        *(f"builtin: partial, keep_last: {n}" for n in (1, 2)),
        *("builtin: partial, keep_first: 1", 'builtin: partial, keep_first: 1, with: "#"'),
        *(f'expression: "{text}", type: varchar' for text in (
            *("left(value, 1)", "left(value, 2)", "right(value, 1)", "substring(value, 1)", "substring(value, 2)"),
            *("substring(value, 1, 2)", "lower(value)", "upper(value)", "value", "value || value", "value || 'a'"),
            *("'a' || value", "CAST(length(value) AS VARCHAR)", "CASE WHEN value = 'a' THEN 'x' ELSE 'y' END"),
            *("CASE WHEN value = 'b' THEN 'x' ELSE 'y' END", "CASE WHEN value = 'a' THEN 'y' ELSE 'x' END"),
            "CASE WHEN value = 'a' THEN 'x' WHEN value = 'b' THEN 'z' ELSE 'y' END",
        )),
    ]  # fmt: skip
    encoded = set()
    for text in texts:
        mask = _decision(_policy(tmp_path, "s", text)).table.columns[0].cases[0].mask
        assert mask is not None
        encoded.add(encode_mask(mask))
    assert len(encoded) == len(texts)


def test_a_column_has_the_type_of_its_masks_where_they_reach_and_its_own_elsewhere(tmp_path: Path) -> None:
    text = """version: 1
masks:
  band: {rank: 1, expression: "CASE WHEN value > 9 THEN 'many' ELSE 'few' END", type: varchar}
  gone: {rank: 2, builtin: "null"}
grants:
  - {name: a, principals: ["user:alice"], resource: lake.db.t, permissions: [SELECT], masks: {i: band}}
  - {name: b, principals: ["user:alice", "user:bob"], resource: lake.db.t, permissions: [SELECT], rows: "l = 1"}
  - {name: c, principals: ["user:carol"], resource: lake.db.t, permissions: [SELECT], masks: {i: gone}}
"""
    policy = bind_policy(tmp_path, text, _TABLE)

    def kind(user: str) -> str:
        outcome = decide(policy, principal(user), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        return outcome.table.columns[1].column.type.sql

    assert [kind(user) for user in ("alice", "bob", "carol")] == ["VARCHAR", "INTEGER", "INTEGER"]
