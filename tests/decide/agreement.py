"""Random rules over random facts: durable-rules, the scalar and the vectorised evaluator and the walk must agree.

``python -X faulthandler -m tests.decide.agreement --seed 7 --decisions 20000``: a process of its own, so that a crash
of the engine is a failed test and not the end of all of them. Ends with 1 at the first difference, which it prints.
"""

from __future__ import annotations

import argparse
import math
import random
import sys

import numpy as np

from apis_rules.decide.columns import Columns
from apis_rules.decide.definition import obstacle
from apis_rules.decide.explain import explain
from apis_rules.decide.ruleset import LiveRuleset, Ruleset, compile_ruleset
from apis_rules.decide.tree import (
    All,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Constant,
    FactKind,
    Member,
    Name,
    Not,
    Operator,
)
from apis_rules.decide.writing import format_condition
from tests.decide.trees import KINDS, NUMBERS, ODD, TEXTS

STATES = 100


def expression(draw: random.Random, depth: int = 0):
    """Return a random number: a fact or constant, now and then a combination."""
    if depth < 2 and draw.random() < 0.2:
        if draw.random() < 0.6:
            return Arithmetic(draw.choice("+-*/"), expression(draw, depth + 1), expression(draw, depth + 1))
        function = draw.choice(("abs", "min", "max"))
        count = 1 if function == "abs" else draw.randint(2, 3)
        return Call(function, tuple(expression(draw, depth + 1) for _ in range(count)))
    return Name(draw.choice("abcd")) if draw.random() < 0.7 else Constant(draw.choice(NUMBERS))


def leaf(draw: random.Random):
    """Return a random comparison or membership."""
    chance = draw.random()
    if chance < 0.6:
        return Comparison(expression(draw), draw.choice(list(Operator)), expression(draw))
    equal = draw.choice((Operator.EQ, Operator.NE))
    if chance < 0.7:
        right = Name(draw.choice("st")) if draw.random() < 0.4 else Constant(draw.choice(TEXTS))
        return Comparison(Name(draw.choice("st")), equal, right)
    if chance < 0.8:
        right = Name(draw.choice("pqr")) if draw.random() < 0.3 else Constant(value=draw.random() < 0.5)
        return Comparison(Name(draw.choice("pqr")), equal, right)
    if chance < 0.9:
        return Member(Name(draw.choice("st")), tuple(draw.sample(TEXTS, 2)), draw.random() < 0.5)
    return Member(expression(draw), tuple(draw.sample(NUMBERS, 3)), draw.random() < 0.5)


def condition(draw: random.Random, depth: int = 0):
    """Return a random condition."""
    if depth == 3 or draw.random() < 0.4:
        return leaf(draw)
    if draw.random() < 0.2:
        return Not(condition(draw, depth + 1))
    parts = tuple(condition(draw, depth + 1) for _ in range(draw.randint(2, 3)))
    return draw.choice((All, AnyOf))(parts)


def ruleset(draw: random.Random, number: int) -> Ruleset:
    """Return random rules: mostly a handful, sometimes enough for several chunks."""
    count = draw.choice((1, 3, 5, 10, 20)) if number % 10 else 120
    made = [condition(draw) for _ in range(count)]
    fitting = [
        c for c in made if not any(map(obstacle, compile_ruleset("x", [("x", c)], KINDS).program.lowered.conditions))
    ]
    return compile_ruleset(f"random{number}", [(f"rule.{i}", c) for i, c in enumerate(fitting)], KINDS)


def value(draw: random.Random, kind: FactKind) -> object:
    """Return a value of *kind*, or now and then anything."""
    if draw.random() < 0.1:
        return draw.choice(ODD)
    if kind is FactKind.FLAG:
        return draw.random() < 0.5
    if kind is FactKind.TEXT:
        return draw.choice((*TEXTS, "other", "another"))
    near = draw.choice(NUMBERS)
    return draw.choice((near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf), draw.uniform(-50, 50)))


def state(draw: random.Random) -> dict[str, object]:
    """Return random facts, some of them absent."""
    return {name: value(draw, kind) for name, kind in KINDS.items() if draw.random() < 0.9}


def compare(rules: Ruleset, states: list[dict[str, object]]) -> str | None:
    """Return the first difference between the evaluators over *states*."""
    rows = [rules.program.read(s.get) for s in states]
    facts = len(rules.program.lowered.facts)
    columns = Columns(len(rows), [np.array([row[i] for row in rows]) for i in range(facts)])
    masks = rules.over_columns.masks(columns)
    with LiveRuleset(rules, dict.fromkeys(rules.names, True)) as live:
        for i, facts_now in enumerate(states):
            matched = live.match(facts_now)
            vector = tuple(name for name, mask in zip(rules.names, masks, strict=True) if mask[i])
            walked = tuple(name for name, c in rules.rules if explain(c, facts_now, KINDS).holds)
            if matched.alarm or not matched.hits == vector == walked:
                written = {name: format_condition(c) for name, c in rules.rules}
                return f"{matched} vector {vector} walk {walked}\nfacts {facts_now}\nrules {written}"
    return None


def main() -> int:
    """Run until enough decisions were compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--decisions", type=int, default=20_000)
    args = parser.parse_args()
    sys.stdout.write(f"seed {args.seed}\n")
    draw = random.Random(args.seed)
    done = hits = number = 0
    while done < args.decisions:
        rules = ruleset(draw, number)
        states = [state(draw) for _ in range(STATES)]
        if difference := compare(rules, states):
            sys.stdout.write(f"{difference}\n")
            return 1
        hits += sum(len(rules.match(s)) for s in states)
        done += len(states)
        number += 1
    sys.stdout.write(f"{number} rule sets, {done} decisions, {hits} hits, no difference\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
