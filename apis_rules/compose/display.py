"""Shows what a community does while a run lasts: a live picture in a terminal, else a line per change."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Final, cast

from apis_rules.compose.lines import Narrator, Patience, tell_deal
from apis_rules.compose.outlet import Outlet
from apis_rules.compose.summary import sum_up

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from apis_rules.compose.onlooker import Onlooker

log = logging.getLogger(__name__)

REDRAW_S: Final = 0.5
SUMMED_DEALS: Final = 10_000
"""So many of the last deals are told at the end."""

END_S: Final = 5.0
"""How long the end of a run waits for an output that is not read."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an observed unit would do.

    Attributes:
        gist: without amounts, which change all the time; another gist is news.
        text: for people.
    """

    gist: str = ""
    text: str = ""


class Display:
    """The display of one run.

    Args:
        form: ``json``: nothing on stdout but a summary at the end; what happens goes to stderr.
        opinions: of observed units.

    Attributes:
        told: how many of the deals that are over have been told, also by a process before this one.
    """

    def __init__(self, onlooker: Onlooker, form: str, opinions: Callable[[], Iterable[Opinion]] = lambda: ()) -> None:
        self.told = 0
        self._onlooker = onlooker
        self._form = form
        self._opinions = opinions
        # A terminal that cannot move its cursor gets lines, like a file.
        self._in_terminal = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        if self._in_terminal or form == "json":
            onlooker.keep_deals(SUMMED_DEALS)
        self._out = Outlet(sys.stderr if form == "json" else sys.stdout)

    async def run(
        self, lacking: Callable[[], Iterable[str]], ended: Callable[[], Collection[str]] = lambda: ()
    ) -> bool:
        """Show until cancelled, or until nothing can be shown any more; return whether that is no reason to end.

        *lacking*: what stands before the reasons for which nothing is traded. *ended*: units whose node has ended here.
        """
        try:
            if self._in_terminal and self._form != "json":
                await self._draw(lacking, ended)
            else:
                await self._tell(lacking)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO):  # the reader of a pipe, or the terminal, is gone
                return False
            log.warning("what happens is not shown any more: %s", error.strerror)  # such as a full disk
        return True

    def end(self, text: str) -> None:
        """Say how things were left, for people, and what was done, for programs."""
        if self._form == "json" or self._in_terminal:
            finished, count = self._onlooker.finished, self._onlooker.finished_count
            lines = [] if self._form == "json" else [f"done: {tell_deal(record)}" for record in finished]
            if len(finished) < count:
                lines.append(f"told are the last {len(finished)} of {count} deals: see 'apis-rules deals --since'")
            self._out.write("\n".join((*lines, text, "")))
        else:
            self._say(text)
        self._out.drain(END_S)
        if self._form == "json":
            sys.stdout.write(json.dumps(sum_up(self._onlooker.finished).to_document(), indent=2) + "\n")

    def _say(self, sentence: str) -> None:
        self._out.write(f"{_now()} {sentence}\n")

    async def _draw(self, lacking: Callable[[], Iterable[str]], ended: Callable[[], Collection[str]]) -> None:
        # Loaded only where there is a terminal: a node of a small board has none.
        from rich.console import Console
        from rich.live import Live

        from apis_rules.compose.screen import draw

        patience, looker = Patience(), self._onlooker
        with Live(console=Console(file=cast("IO[str]", self._out)), auto_refresh=False) as live:
            while True:
                overview = looker.overview()
                quiet = patience.lasting((*lacking(), *overview.quiet), looker.ports.clock.now_s())
                told = (*(o.text for o in self._opinions()), *quiet)
                picture = draw(overview, looker.errors, looker.finished_count, told, ended())
                # A terminal that was paused gets the newest picture only.
                live.update(picture, refresh=self._out.idle)
                self._out.flush()
                await asyncio.sleep(REDRAW_S)

    async def _tell(self, lacking: Callable[[], Iterable[str]]) -> None:
        narrator, patience, looker = Narrator(), Patience(), self._onlooker
        gists: list[str] = []
        while True:
            overview = looker.overview()
            quiet = patience.lasting((*lacking(), *overview.quiet), looker.ports.clock.now_s())
            for sentence in narrator.news(overview, looker.errors, looker.finished_after(self.told), quiet):
                self._say(sentence)
            self.told = max(self.told, looker.finished_count)
            opinions = list(self._opinions())
            for opinion in opinions:
                if opinion.gist not in gists:
                    self._say(opinion.text)
            gists = [o.gist for o in opinions]
            self._out.flush()
            await asyncio.sleep(REDRAW_S)


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S.%f")[:-4]
