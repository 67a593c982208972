"""Answers questions with cvc5: a JSON list of SMT-LIB texts in, the list of `sat`, `unsat` and `unknown` out.

It runs in an environment of its own that has cvc5. Its limit is in steps, not seconds, so that the answers are the same
on every machine.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

STEPS = "2000000"
"""Most of the solver's own units of work for one question."""


def answer(cvc5: Any, text: str) -> str:
    """Give what the solver says of one text that ends in `(check-sat)`."""
    solver = cvc5.Solver(cvc5.TermManager())
    solver.setOption("strings-exp", "true")
    solver.setOption("rlimit-per", STEPS)
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, f"(set-logic ALL)\n{text}", "question")
    symbols = parser.getSymbolManager()
    said = ""
    while not (command := parser.nextCommand()).isNull():
        said = command.invoke(solver, symbols).strip() or said
    return said


if __name__ == "__main__":
    solvers = import_module("cvc5")
    json.dump([answer(solvers, text) for text in json.load(sys.stdin)], sys.stdout)
