"""One deal, then several in a row, in virtual time on the twins and the modelled grid."""

from __future__ import annotations

import pytest

from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import world


def test_a_deal_is_made_and_ends_in_order() -> None:
    """From a dead bus the community makes a deal, moves its energy, and books what was moved."""

    async def main() -> None:
        async with world() as w:
            await w.until(lambda: any(d.state == "started" for d, _ in w.records.deals().values()), 60, "started")
            await w.until(lambda: w.final_records, 200, "a final record")
            record = w.final_records[0]
            assert record.abort_reason is None
            assert record.cumulate_amount_wh == pytest.approx(record.deal_amount_wh, rel=0.02)

    run_virtual(main())
