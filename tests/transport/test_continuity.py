"""What a unit remembers of the store, on a disk that takes nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from apis_transport import continuity as module
from apis_transport.continuity import Continuity, keep_saving, load_continuity


def test_a_disk_that_is_full_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once; the old content stays; when there is room again the newest is kept."""
    monkeypatch.setattr(module, "_WRITE_EVERY_S", 0.01)
    folder, away = tmp_path / "state", tmp_path / "away"
    folder.mkdir()
    remembered = Continuity(folder / "store.json", "s", 5)
    remembered.save()
    folder.rename(away)  # nothing can be written beside the file

    async def scene() -> None:
        seen = iter(range(6, 1000))
        task = asyncio.create_task(keep_saving(remembered, lambda: next(seen)))
        async with asyncio.timeout(10):
            while remembered.revision < 10:
                await asyncio.sleep(0.01)
            assert not task.done()
            assert json.loads((away / "store.json").read_text())["revision"] == 5
            away.rename(folder)
            while load_continuity(folder).revision < 10:
                await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(scene())
    assert len([r for r in caplog.records if "is not kept" in r.message]) == 1
