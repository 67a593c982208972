"""Random tags beside a random policy: as a file for the policy package and as a model for the oracle."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random
from typing import Any

from support.policies import ISSUER, NOW, OTHER_ISSUER
from support.random_policies import TABLES, World
from support.tag_model import TagDenialModel, Tagged, TagGrantModel, TagsModel

VALUES = {"class": ["public", "internal", "pii"], "team": ["a", "b"], "zone": ["eu"]}
_PRINCIPALS = ["user:alice", "user:bob", "group:red", "group:blue", "everyone", f"everyone@{OTHER_ISSUER}"]
_ENDS = [None, None, None, NOW, NOW + timedelta(hours=1)]


def random_tags(random: Random, world: World) -> tuple[TagsModel, str]:
    """Give tags of a world's tables, grants and denials by them, and the file that says so."""
    tagged: list[Tagged] = []
    entries: list[dict[str, Any]] = []
    for place in [*dict.fromkeys(table.rpartition(".")[0] for table in TABLES), *TABLES]:
        columns = list(world.columns.get(place, {}))
        for of in [[], *([column] for column in columns)]:
            # Most of what is tagged is tagged above: overriding is the point.
            if random.random() < (0.7 if not of else 0.3):
                keys = random.sample(list(VALUES), random.choice([1, 1, 2, 3]))
                values = {key: random.choice(VALUES[key]) for key in keys}
                tagged += [
                    Tagged(place=place, column=of[0] if of else None, key=key, value=value)
                    for key, value in values.items()
                ]
                entries += _entries(random, place, of, values)
    grants = [_grant(random, f"t{number}") for number in range(random.randint(1, 3))]
    denials = [_denial(random) for _ in range(random.choice([0, 0, 1, 2]))]
    file: dict[str, Any] = {
        "version": 1,
        "tags": {_cased(random, key): [_cased(random, value) for value in values] for key, values in VALUES.items()},
        "grants": [
            {
                "name": grant.name,
                "principals": list(grant.principals),
                "tag_expression": _written(random, grant.expression),
                "permissions": sorted(grant.permissions),
                **({} if grant.expires is None else {"expires": grant.expires.isoformat()}),
            }
            for grant in grants
        ],
    }
    if entries:
        file["tagged"] = random.sample(entries, len(entries))
    if denials:
        file["denials"] = [
            {
                "tag_expression": _written(random, denial.expression),
                "permissions": sorted(denial.permissions),
                **({"except_principals": list(denial.spared)} if denial.spared else {}),
            }
            for denial in denials
        ]
    return TagsModel(tagged=tagged, grants=grants, denials=denials), json.dumps(file, ensure_ascii=False)


def _entries(random: Random, place: str, of: list[str], values: dict[str, str]) -> list[dict[str, Any]]:
    """Give one entry, or one for each tag: several entries on one resource add up."""
    parts = [values] if random.random() < 0.5 else [{key: value} for key, value in values.items()]
    return [
        {
            "resource": _cased(random, place),
            **({"columns": [_cased(random, name) for name in of]} if of else {}),
            "tags": {_cased(random, key): _cased(random, value) for key, value in part.items()},
        }
        for part in parts
    ]


def _expression(random: Random) -> dict[str, list[str]]:
    keys = random.sample(list(VALUES), random.choice([1, 1, 1, 2]))
    return {
        key: ["*"] if random.random() < 0.3 else random.sample(VALUES[key], random.randint(1, len(VALUES[key])))
        for key in keys
    }


def _grant(random: Random, name: str) -> TagGrantModel:
    permissions = random.choice([["SELECT"]] * 4 + [["DESCRIBE"], ["RAW"], ["SELECT", "RAW"], ["SELECT", "DESCRIBE"]])
    return TagGrantModel(
        name=name,
        principals=random.sample([*_PRINCIPALS, f"user:{ISSUER}|s-alice"], random.randint(1, 3)),
        expression=_expression(random),
        permissions=frozenset(permissions),
        expires=random.choice(_ENDS),
    )


def _denial(random: Random) -> TagDenialModel:
    return TagDenialModel(
        expression=_expression(random),
        permissions=frozenset(random.choice([["SELECT"], ["SELECT"], ["RAW"], ["DESCRIBE"], ["SELECT", "RAW"]])),
        spared=random.sample(_PRINCIPALS, random.randint(0, 3)),
    )


def _written(random: Random, expression: dict[str, list[str]] | Any) -> dict[str, Any]:
    return {
        _cased(random, key): "*" if values == ["*"] and random.random() < 0.5 else [_cased(random, v) for v in values]
        for key, values in expression.items()
    }


def _cased(random: Random, text: str) -> str:
    return text.upper() if random.random() < 0.2 else text
