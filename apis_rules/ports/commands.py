"""Commands from the Grid Master to a unit, and their outcomes.

The contract
------------
- ``send`` is a fenced write of ``cmd.<unit>``: the store hands it to the unit only if the term's fence still holds. Of
  two commands for one unit that were sent while it was away, it gets the last.
- ``send_stop`` is a plain message for commands that only take energy away. It needs no leader and no disk and may
  overtake anything; the caller sends the fenced one as well. The unit tells the two apart by nothing: (epoch, seq) is
  the identity, and each is obeyed once.
- Nobody but the store can put a command into the inbox's fenced path.
- Delivery is at most once per path and in no order between paths. A unit that restarts may see the last fenced command
  again. What is out of date, the unit refuses; the port does not judge.
- ``report`` is a plain message and may be lost; a master that misses it asks again by sending the same (epoch, seq),
  which returns the stored outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from apis_rules.ports.lease import Term
    from apis_rules.ports.types import Command, Outcome


class Commands(Protocol):
    """Both ends of the command path. The module's docstring is the contract."""

    async def send(self, unit_id: str, command: Command, term: Term) -> int:
        """Hand *command* to the unit through the store; return the revision of the write.

        Raises:
            Fenced: the term is over; the unit will not get it.
            Outage: not written.
            Unknown: it may reach the unit, even later; the unit then judges its age.
        """

    async def send_stop(self, unit_id: str, command: Command) -> None:
        """Send a command whose name ``stops`` as a plain message. Returns when it has left this process.

        Raises:
            ValueError: the command does not only take energy away.
            Outage: not connected; it will not be sent later.
        """

    def outcomes(self) -> AbstractAsyncContextManager[AsyncIterator[Outcome]]:
        """Subscribe to the outcomes of all units; what was reported before entering is not seen."""

    def inbox(self, unit_id: str) -> AbstractAsyncContextManager[AsyncIterator[Command]]:
        """Subscribe to the commands for one unit, from both paths."""

    async def report(self, outcome: Outcome) -> None:
        """Tell the community what became of a command.

        Raises:
            Outage: not connected; it will not be sent later.
        """
