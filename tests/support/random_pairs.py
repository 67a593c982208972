"""Random pairs of policies on one small table: an old one, and an edit of it or another one."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from random import Random
from typing import Any

from support.policy_pairs import COMPUTED, CONSTANTS, MASKS, PRINCIPALS, REQUIREMENTS, TYPES, Filter, Grant, Policy
from support.reference_model import Expression


class Feature(StrEnum):
    """What a pair is about, beside what all are."""

    TYPED_RULES = "typed rules"
    """Rules that restrict whole numbers, decimals and truth values."""
    DENYING_RULES = "denying rules"
    """Rules that say whom to show nothing, of which the proof has no reading."""
    TAGS = "tags"
    """Grants by tags in the one version, in the other, or in both."""
    COMPUTED_MASKS = "computed masks"
    SUBJECT = "subject"
    """Row filters with `:user.subject`."""
    REQUIRES = "requires"
    """Grants of encrypted or private data only."""


_OF_RULES = (Feature.TYPED_RULES, Feature.DENYING_RULES)
_OF_TEXTS = (Feature.SUBJECT, Feature.COMPUTED_MASKS, Feature.DENYING_RULES)


def random_pair(random: Random, *, patterns: bool, feature: Feature | None) -> tuple[Policy, Policy]:
    """Give a pair; with `patterns` text columns and LIKE come up more often."""
    return _Maker(random, patterns=patterns, feature=feature).pair()


class _Maker:
    def __init__(self, random: Random, *, patterns: bool, feature: Feature | None) -> None:
        self._random = random
        self._patterns = patterns
        self._feature = feature
        names = random.sample(list(TYPES), 3)
        if "s" not in names and (patterns or feature in _OF_TEXTS or random.random() < 0.5):
            names[0] = "s"
        if feature is Feature.TYPED_RULES and not {"i", "b", "m"}.intersection(names):
            names[-1] = random.choice("ibm")
        self._columns = tuple(names)
        self._claims = random.random() < 0.15

    def pair(self) -> tuple[Policy, Policy]:
        old = self.policy()
        return old, self._edited(old) if self._random.random() < 0.85 else self.policy()

    def policy(self) -> Policy:
        random = self._random
        masks = self._masks("s")
        ranks = dict(zip(masks, random.sample(range(10, 90, 10), len(masks)), strict=True))
        rules, ruled = None, "s"
        if self._feature is Feature.TYPED_RULES:
            ruled = random.choice([column for column in self._columns if column in "ibm"])
        if ruled in self._columns and random.random() < self._often(0.25, *_OF_RULES):
            rules = tuple(self._rule(ruled) for _ in range(random.randint(self._feature is Feature.DENYING_RULES, 3)))
        closed: dict[str, tuple[str, ...]] = {}
        if random.random() < 0.2:
            closed[random.choice(self._columns)] = (random.choice(PRINCIPALS[1:]),)
        return Policy(
            columns=self._columns,
            grants=tuple(self._grant() for _ in range(random.randint(1, 3))),
            ranks=ranks,
            rules=rules,
            closed=closed,
            ruled=ruled,
            denying=self._feature is Feature.DENYING_RULES and rules is not None,
            by_tags=self._feature is Feature.TAGS and random.random() < 0.7,
        )

    def _often(self, plain: float, *features: Feature) -> float:
        """Give how often something comes up, which is mostly where the feature is about it."""
        return 0.7 if self._feature in features else plain

    def _masks(self, column: str) -> tuple[str, ...]:
        computed = COMPUTED if column == "s" and self._feature is Feature.COMPUTED_MASKS else ()
        return (*MASKS, *computed)

    def _rule(self, ruled: str) -> tuple[str, frozenset[Any] | None]:
        random = self._random
        values = [value for value in CONSTANTS[ruled] if value != ""]
        restricted = frozenset(random.sample(values, random.randint(1, 2))) if random.random() < 0.8 else None
        return random.choice(PRINCIPALS[1:]), restricted

    def _grant(self) -> Grant:
        random = self._random
        kind = random.random()
        if kind < 0.05:
            whole = Filter(columns=(None, frozenset()), rows=None, masks={})
            permissions: tuple[str, ...] = random.choice([("RAW",), ("SELECT", "RAW"), ("SELECT",)])
            return Grant(principals=self._principals(), permissions=permissions, filter=whole, ends=False)
        names = self._columns_of()
        if kind < 0.12:
            described = Filter(columns=names, rows=None, masks={})
            return Grant(principals=self._principals(), permissions=("DESCRIBE",), filter=described, ends=False)
        bare = self._feature is Feature.TAGS and random.random() < 0.6
        rows = self._expression(2) if not bare and random.random() < 0.9 else None
        part = Filter(columns=names, rows=rows, masks={})
        often = 0.0 if bare else self._often(0.25, Feature.COMPUTED_MASKS)
        masks = {
            column: random.choice(self._masks(column))
            for column in self._columns
            if part.shows(column) and random.random() < often
        }
        return Grant(
            principals=self._principals(),
            permissions=("SELECT",),
            filter=replace(part, masks=masks),
            ends=random.random() < 0.1,
            requires=self._requires(),
        )

    def _requires(self) -> frozenset[str]:
        if self._feature is not Feature.REQUIRES:
            return frozenset()
        return frozenset(self._random.sample(REQUIREMENTS, self._random.randint(0, 2)))

    def _principals(self) -> tuple[str, ...]:
        random = self._random
        return ("everyone",) if random.random() < 0.6 else tuple(random.sample(PRINCIPALS[1:], random.randint(1, 2)))

    def _columns_of(self) -> tuple[str | None, frozenset[str]]:
        random = self._random
        mode = random.choice([None, "include", "include", "exclude"])
        if mode is None:
            return None, frozenset()
        return mode, frozenset(random.sample(self._columns, random.randint(1, 2)))

    def _expression(self, depth: int) -> Expression:
        random = self._random
        if depth == 0 or random.random() < 0.3:
            return self._test()
        if random.random() < 0.15:
            return ("not", self._expression(depth - 1))
        operands = [self._expression(depth - 1) for _ in range(random.randint(2, 3))]
        return (random.choice(["and", "or"]), operands)

    def _test(self) -> Expression:
        random = self._random
        column = random.choice(self._columns)
        if self._patterns and "s" in self._columns and random.random() < 0.5:
            column = "s"
        test = self._plain_test(column)
        return ("not", test) if random.random() < 0.2 else test

    def _plain_test(self, column: str) -> Expression:
        random = self._random
        values = CONSTANTS[column]
        chance = random.random()
        if self._feature is Feature.SUBJECT and column == "s" and chance < 0.5:
            return ("my subject", "s", random.choice(["=", "<>", "<", "<=", ">", ">="]))
        if self._claims and column in "sib" and chance < 0.3:
            return self._claim(column)
        if chance < 0.12:
            return ("null", column)
        if chance < 0.35:
            return ("in", column, random.choices(values, k=random.randint(1, 3)))
        if column == "s" and chance < (0.85 if self._patterns else 0.65):
            pattern = "".join(random.choice("aabb_%%") for _ in range(random.randint(0, 4)))
            return ("like", column, pattern)
        if column == "b":
            return ("cmp", column, random.choice(["=", "<>"]), random.choice(values))
        if chance < 0.75:
            return ("between", column, random.choice(values), random.choice(values))
        return ("cmp", column, random.choice(["=", "<>", "<", "<=", ">", ">="]), random.choice(values))

    def _claim(self, column: str) -> Expression:
        random = self._random
        operators = ["=", "<>"] if column == "b" else ["=", "<>", "<", "<=", ">", ">="]
        tests: list[Expression] = [
            ("my attribute", column, random.choice(operators), "dept"),
            ("my attributes", column, "dept"),
        ]
        if column == "s":
            tests.append(("my name", column, random.choice(operators)))
        return random.choice(tests)

    # --- edits --------------------------------------------------------------------------------------------------------
    def _edited(self, policy: Policy) -> Policy:
        random = self._random
        grants = [self._edited_grant(grant) for grant in policy.grants]
        if len(grants) > 1 and random.random() < 0.1:
            grants.pop(random.randrange(len(grants)))
        if random.random() < 0.1:
            grants.append(self._grant())
        if random.random() < 0.3:
            random.shuffle(grants)
        ranks = dict(policy.ranks)
        if random.random() < 0.1:
            first, second = random.sample(self._masks("s"), 2)
            ranks[first], ranks[second] = ranks[second], ranks[first]
        rules = policy.rules
        if rules is not None and random.random() < 0.5:
            rules = random.choice([None, (*rules, self._rule(policy.ruled)), rules[1:], tuple(reversed(rules))])
        if not rules and policy.denying:
            rules = None
        closed = policy.closed if random.random() < 0.9 else {}
        by_tags = policy.by_tags if random.random() < 0.6 else self._feature is Feature.TAGS
        denying = policy.denying and rules is not None
        return replace(
            policy, grants=tuple(grants), ranks=ranks, rules=rules, closed=closed, denying=denying, by_tags=by_tags
        )

    def _edited_grant(self, grant: Grant) -> Grant:
        random = self._random
        if grant.permissions != ("SELECT",):
            return grant if random.random() < 0.9 else self._grant()
        part, chance = grant.filter, random.random()
        if chance < 0.35 and part.rows is not None:
            part = replace(part, rows=self._respelled(part.rows))
        elif chance < 0.6 and part.rows is not None:
            part = replace(part, rows=self._changed(part.rows))
        elif chance < 0.9:
            part = self._edited_filter(part, chance)
        elif chance < 0.93:
            return replace(grant, principals=self._principals())
        elif chance < 0.95:
            return replace(grant, ends=not grant.ends)
        elif self._feature is Feature.REQUIRES:
            return replace(grant, requires=self._requires())
        return replace(grant, filter=part)

    def _edited_filter(self, part: Filter, chance: float) -> Filter:
        random = self._random
        if chance < 0.68:
            part = replace(part, rows=("and", [part.rows, self._test()]) if part.rows is not None else self._test())
        elif chance < 0.76:
            names = frozenset(column for column in self._columns if part.shows(column)) | {random.choice(self._columns)}
            part = replace(part, columns=("include", names))
        elif chance < 0.82 and part.masks:
            part = replace(part, masks={})
        else:
            column = random.choice([column for column in self._columns if part.shows(column)])
            part = replace(part, masks={**part.masks, column: random.choice(self._masks(column))})
        return part

    def _respelled(self, e: Expression) -> Expression:
        """Give another spelling of the same."""
        random = self._random
        if e[0] in {"and", "or"}:
            operands = [self._respelled(operand) for operand in e[1]]
            random.shuffle(operands)
            if random.random() < 0.4:
                return ("not", ("or" if e[0] == "and" else "and", [("not", operand) for operand in operands]))
            return (e[0], operands)
        if e[0] == "not":
            return ("not", self._respelled(e[1]))
        if e[0] == "in" and random.random() < 0.5 and len(e[2]) > 1:
            return ("or", [("cmp", e[1], "=", value) for value in e[2]])
        if e[0] == "between" and random.random() < 0.5:
            return ("and", [("cmp", e[1], ">=", e[2]), ("cmp", e[1], "<=", e[3])])
        if e[0] == "cmp" and random.random() < 0.5 and e[1] != "b":
            turned = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
            return ("not", ("cmp", e[1], turned[e[2]], e[3]))
        return e

    def _changed(self, e: Expression) -> Expression:
        """Make one small change somewhere."""
        random = self._random
        if e[0] in {"and", "or"} and random.random() < 0.75:
            operands, chance = list(e[1]), random.random()
            if chance < 0.2 and len(operands) > 2:
                operands.pop(random.randrange(len(operands)))
            elif chance < 0.4:
                operands.append(self._test())
            else:
                place = random.randrange(len(operands))
                operands[place] = self._changed(operands[place])
            return (e[0], operands)
        if e[0] == "not" and random.random() < 0.8:
            return ("not", self._changed(e[1]))
        if e[0] == "cmp":
            if random.random() < 0.5:
                return ("cmp", e[1], e[2], random.choice(CONSTANTS[e[1]]))
            operators = ["=", "<>"] if e[1] == "b" else ["<", "<=", ">", ">=", "="]
            return ("cmp", e[1], random.choice(operators), e[3])
        if e[0] == "in":
            return ("in", e[1], [*e[2], random.choice(CONSTANTS[e[1]])] if random.random() < 0.5 else list(e[2][:1]))
        return self._test()
