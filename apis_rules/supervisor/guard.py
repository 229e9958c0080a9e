"""Keeps one converter safe while its node is not there: a thread of its own, so that no driver waits for another."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.battery_claims import Unclaimable, clear_claim
from apis_rules.supervisor.driver import ask
from apis_rules.supervisor.duty import LOOK_EVERY_S, Shown, decide_step, note_order
from apis_rules.supervisor.orders import now_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.supervisor.orders import UnitOrders

_WORDS: Final = {
    Shown.CURRENT: "charged or discharged",
    Shown.HOLDING: "held the voltage for as long as it may",
    Shown.OTHER: "was in a mode that is not known",
}


class Guard:
    """The duty for one converter, from ``start`` until ``end``.

    Attributes:
        orders: how its driver is asked.
        looks: how often that was done.
    """

    def __init__(self, orders: UnitOrders, tell: Callable[[str], None]) -> None:
        """*tell* is given sentences for people."""
        self.orders = orders
        self.looks = 0
        self._tell = tell
        self._duty = orders.begin_duty()
        self._ended = threading.Event()
        self._hurry = False
        self._over = threading.Event()
        self._told: Shown | None = None
        self._thread = threading.Thread(target=self._run, name=f"guard {orders.unit_id}", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no more; ``left_alone`` says when nothing of it can reach the converter any more."""
        self._ended.set()

    def hurry(self) -> None:
        """Give a holder no more time."""
        self._hurry = True

    @property
    def over(self) -> bool:
        """Whether the converter was in WAIT for long enough when last seen."""
        return self._over.is_set()

    @property
    def left_alone(self) -> bool:
        """Whether no order is under way any more."""
        return not self._thread.is_alive() and now_s() >= self._duty.unsettled_until_s

    def _run(self) -> None:
        failure = ""
        while not self._ended.is_set():
            try:
                look_at_s = self._look()
            except Exception as error:  # noqa: BLE001 - whatever it is: nobody else looks after the converter
                look_at_s = now_s() + LOOK_EVERY_S
                if repr(error) != failure:
                    failure = repr(error)
                    self._tell(f"{self.orders.unit_id}: a look at the converter has failed and is repeated: {error!r}")
            self._ended.wait(max(0.0, look_at_s - now_s()))

    def _look(self) -> float:
        """Do what is due now; return when to look again."""
        orders = self.orders
        asked_at_s = now_s()
        shown = orders.show(ask(orders.read_url, orders.request_timeout_s))
        step = decide_step(self._duty, shown, asked_at_s, now_s(), hurry=self._hurry)
        self._duty = step.duty
        self.looks += 1
        if step.over and not self.over:
            self._release_claims()
            self._over.set()
        elif not step.over:
            self._over.clear()
        if step.order_wait and not self._ended.is_set():
            answered = ask(orders.wait_url, orders.request_timeout_s) is not None
            self._duty = note_order(self._duty, now_s(), answered=answered)
            self._tell_once(shown)
        return step.look_at_s

    def _release_claims(self) -> None:
        """The converter waits: the battery is free for the nodes that share it."""
        for path in self.orders.claims:
            try:
                clear_claim(Path(path), self.orders.owner)
            except Unclaimable as error:
                self._tell(f"{self.orders.unit_id}: its claim on the battery stays: {error}")

    def _tell_once(self, shown: Shown) -> None:
        if shown is not self._told:
            self._told = shown
            self._tell(f"{self.orders.unit_id}: without its node the converter {_WORDS[shown]}; WAIT is ordered")
