"""How much memory many decisions and many exchanged rule sets take: it should be nothing, after the first of them.

``python -m tests.decide.memory --decisions 100000 --swaps 1000 --trials 50``
"""

from __future__ import annotations

import argparse
import gc
import itertools
import sys
from pathlib import Path

from apis_rules.decide.folder import load_rule_folder
from apis_rules.decide.reload import RulesInForce, RuleSources
from apis_rules.resources import data_dir
from tests.decide.shipped import constants, example

PAGE_KB = 4


def resident_mb() -> float:
    """Return the resident memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB / 1024


def decide(rules: RulesInForce, count: int) -> None:
    """Make *count* decisions over changing facts; strikes are handed on as a node does."""
    documents = [example(unit__dcdc__meter__ig=ig) for ig in (1.9, 2.0, 2.1, 2.3, 9.0, None)]
    strikes = {}
    for now_s, document in zip(range(count), itertools.cycle(documents), strict=False):
        strikes = rules.decide("local-safety", document, float(now_s), strikes).strikes


def swap(count: int, trials: int) -> None:
    """Put *count* different rule sets in force, the first *trials* of them after a trial in a child process."""
    file = load_rule_folder(data_dir("rules"))["local-safety"]
    document = example()
    with RulesInForce(trial=True) as tried, RulesInForce(trial=False) as untried:
        for number in range(count):
            hw_config = {**constants()["hwConfig"], "gridCurrentAllowanceA": 0.1 + number / 1e6}
            known = {**constants(), "hwConfig": hw_config}
            rules = tried if number < trials else untried
            assert rules.put(RuleSources({"local-safety": file}, known)).accepted
            assert rules.decide("local-safety", document, 0.0).alarms == ()


def main() -> int:
    """Print the growth of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=50)
    args = parser.parse_args()
    with RulesInForce(trial=False) as rules:
        rules.put(RuleSources({"local-safety": load_rule_folder(data_dir("rules"))["local-safety"]}, constants()))
        decide(rules, 2000)
        before = resident_mb()
        decide(rules, args.decisions)
        sys.stdout.write(f"{args.decisions} decisions: {before:.1f} MB, grew by {resident_mb() - before:.2f} MB\n")
    # The first few hundred shape the heap; from then on nothing may be added.
    swap(min(args.swaps, 700), min(args.trials, 2))
    before = resident_mb()
    swap(args.swaps, args.trials)
    grown = resident_mb() - before
    sys.stdout.write(f"{args.swaps} swaps ({args.trials} tried): {before:.1f} MB, grew by {grown:.2f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
