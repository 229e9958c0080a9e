"""How much memory many exchanges of a running node's documents take: it should be nothing, after the first of them.

``python -m tests.node.swaps --swaps 200``
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import replace

from apis_rules.node.compiled import compile_documents
from apis_rules.ports.virtual_time import run_virtual
from tests.decide.memory import resident_mb
from tests.node.world import SMALL_DEALS, world

ALLOWED_MB = 2.0


async def exchange(swaps: int) -> float:
    """Exchange hwConfig and scenario *swaps* times in a node that runs; return by how much the process has grown."""
    async with world(1, policy=SMALL_DEALS, rsoc=[60.0]) as w:
        house = w.houses["E001"]
        await w.until(lambda: house.node is not None and house.node.state == "autonomous", 60, "it runs")
        assert house.node is not None
        services = house.node.services
        assert services is not None
        documents = services.board.documents
        before = 0.0
        others = (documents.hw_config.model_copy(update={"droop_ratio": 0.01 * n}) for n in itertools.cycle((1, 2)))
        for number, hw_config in zip(range(swaps + 20), others, strict=False):
            if number == 20:
                before = resident_mb()
            services.exchange(compile_documents(replace(documents, hw_config=hw_config), services.rules))
            await w.until(lambda: True, 1)
        return resident_mb() - before


def main() -> int:
    """Print the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=200)
    swaps = parser.parse_args().swaps
    grown = run_virtual(exchange(swaps))
    sys.stdout.write(f"over {swaps} exchanges of a node's documents the memory grew by {grown:.1f} MB\n")
    return 0 if grown < ALLOWED_MB else 1


if __name__ == "__main__":
    sys.exit(main())
