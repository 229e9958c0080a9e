"""Claims on a battery that several nodes share (specification 11.2). Standard library only: a supervisor uses it too.

There is one file for each direction of a battery; its path says which battery is meant. It holds who claims the
direction, and for how many ampere. A living owner also keeps one byte of the file locked (a lock of the open file,
which keeps those of *apis-main* away as well); that goes with its process, however it ends. The claim stays: whether
the converter has stopped, only its owner or the owner's supervisor knows, and takes the claim away when it has seen it.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MUTEX: Final = 0
"""This byte is locked while the file is read or written; the byte of each claim, while its owner lives."""

MUTEX_WAIT_S: Final = 0.05
PAUSE_S: Final = 0.002
ENOUGH_A: Final = 1e-6
_LARGEST: Final = 65_536


class Unclaimable(Exception):
    """A direction cannot be had: others claim it, or the file cannot be used.

    Attributes:
        passes: it ends by itself, when the deals of others do; else somebody must act.
    """

    def __init__(self, reason: str, *, passes: bool = False) -> None:
        super().__init__(reason)
        self.passes = passes


@dataclass(frozen=True, slots=True)
class Claim:
    """One owner's share of one direction.

    Attributes:
        owner: ``communityId/clusterId/unitId``.
        ampere: grid current that it may use.
        slot: the byte that it keeps locked while it lives.
    """

    owner: str
    ampere: float
    slot: int


class ClaimFile:
    """One direction of one battery, as one owner sees it. Not shared between threads.

    Attributes:
        held: the own claim while it is held, else None.
    """

    def __init__(self, path: Path, owner: str, budget_a: float | None) -> None:
        """*budget_a*: grid current of all owners together; None: one owner at a time."""
        self.held: Claim | None = None
        self._path = path
        self._owner = owner
        self._budget_a = budget_a
        self._descriptor: int | None = None

    def take(self, ampere: float) -> None:
        """Hold the direction for so many ampere, whether or not it was held for less or more.

        A claim of this owner that an earlier process has left is taken over.

        Raises:
            Unclaimable: nothing has changed.
        """
        with self._open() as descriptor:
            claims = _read(descriptor)
            others = [c for c in claims if c.owner != self._owner]
            self._check(descriptor, others, ampere)
            slot = self.held.slot if self.held and self.held in claims else _free_slot(descriptor, claims)
            claim = Claim(self._owner, ampere, slot)
            if not _lock(descriptor, slot):
                raise _busy()
            _write(descriptor, [*others, claim])
            self.held = claim

    def left_behind(self) -> float:
        """Return the ampere that an earlier process of this owner has left claimed, or that are held now."""
        try:
            with self._open() as descriptor:
                return sum(c.ampere for c in _read(descriptor) if c.owner == self._owner)
        except Unclaimable:
            return 0.0

    def release(self) -> None:
        """Take the own claim away. The converter must be known to wait.

        Raises:
            Unclaimable: the file cannot be written; the claim stays.
        """
        with self._open() as descriptor:
            _write(descriptor, [c for c in _read(descriptor) if c.owner != self._owner])
        self.held = None
        self.close()

    def check(self, ampere: float) -> None:
        """Raise ``Unclaimable`` where so many ampere cannot be had."""
        with self._open() as descriptor:
            self._check(descriptor, [c for c in _read(descriptor) if c.owner != self._owner], ampere)

    def lost(self) -> bool:
        """Return whether the held claim does not stand in the file any more: somebody has taken it or the file away.

        A file that cannot be read keeps everybody away, so nothing is lost by that.
        """
        if self.held is None:
            return False
        try:
            with self._open() as descriptor:
                return self.held not in _read(descriptor)
        except Unclaimable:
            return False

    def close(self) -> None:
        """Unlock, as the end of the process does: the claim stays in the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _check(self, descriptor: int, others: Sequence[Claim], ampere: float) -> None:
        budget_a = self._budget_a
        if not others and (budget_a is None or ampere <= budget_a + ENOUGH_A):
            return
        if budget_a is not None and sum(c.ampere for c in others) + ampere <= budget_a + ENOUGH_A:
            return
        running = [_running(descriptor, c) for c in others]
        told = [
            f"{c.owner} claims {c.ampere:g} A{'' if runs else ' and does not run'}"
            for c, runs in zip(others, running, strict=True)
        ]
        if budget_a is not None:
            told.append(f"the battery's budget is {budget_a:g} A")
        raise Unclaimable(", ".join(told), passes=all(running))

    @contextmanager
    def _open(self) -> Iterator[int]:
        """Give the descriptor with the file to ourselves; it stays open while a claim is held."""
        try:
            if self._descriptor is not None and not _same(self._descriptor, self._path):
                # Somebody has put another file in its place: what counts is what others see there.
                self.close()
            if self._descriptor is None:
                self._descriptor = _open(self._path)
            _lock_soon(self._descriptor)
            try:
                yield self._descriptor
            finally:
                _unlock(self._descriptor, MUTEX)
        except OSError as error:
            raise Unclaimable(f"{self._path} cannot be used: {error.strerror}") from error
        finally:
            if self.held is None:
                self.close()


def list_claims(path: Path) -> list[tuple[Claim, bool]]:
    """Return the claims that stand in a file, each with whether its owner's process runs.

    Raises:
        Unclaimable: it cannot be read.
    """
    if not _is_there(path):
        return []
    with _whole(path) as descriptor:
        return [(claim, _running(descriptor, claim)) for claim in _read(descriptor)]


def clear_claim(path: Path, owner: str) -> bool:
    """Take away the claim of an owner whose process has ended; return whether there was one.

    Only for who knows that the owner's converter waits: its supervisor, or an operator.

    Raises:
        Unclaimable: the owner's process runs, or the file cannot be used.
    """
    if not _is_there(path):
        return False
    with _whole(path) as descriptor:
        claims = _read(descriptor)
        own = [c for c in claims if c.owner == owner]
        if any(_running(descriptor, c) for c in own):
            raise Unclaimable(f"{owner} runs: it takes its claim away by itself when its converter waits")
        if own:
            _write(descriptor, [c for c in claims if c.owner != owner])
        return bool(own)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise Unclaimable(f"{path} cannot be used: {error.strerror}") from error


@contextmanager
def _whole(path: Path) -> Iterator[int]:
    try:
        descriptor = _open(path)
        try:
            _lock_soon(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unclaimable(f"{path} cannot be used: {error.strerror}") from error


def _open(path: Path) -> int:
    try:
        # Without O_CREAT: the kernel may refuse that for another user's file in a folder that everybody can write to.
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.fchmod(descriptor, 0o666)  # nodes of a battery may run as different users
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unclaimable(f"{path} is no file")
    return descriptor


def _same(descriptor: int, path: Path) -> bool:
    try:
        there, open_ = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (open_.st_dev, open_.st_ino)


def _read(descriptor: int) -> list[Claim]:
    """Return the claims. What cannot be read may be anybody's claim, so it keeps everybody away."""
    text = os.pread(descriptor, _LARGEST, 0)
    if not text.strip():
        return []
    try:
        return [Claim(str(c["owner"]), float(c["ampere"]), int(c["slot"])) for c in json.loads(text)]
    except (ValueError, TypeError, KeyError) as error:
        raise Unclaimable("the file of claims is damaged; an operator may empty it when all converters wait") from error


def _write(descriptor: int, claims: Sequence[Claim]) -> None:
    # In place: a new file in its place would have no locks. What a crash leaves half written counts as damaged.
    text = json.dumps([asdict(c) for c in claims]).encode() if claims else b""
    os.pwrite(descriptor, text.ljust(os.fstat(descriptor).st_size), 0)
    os.ftruncate(descriptor, len(text))


def _free_slot(descriptor: int, claims: Sequence[Claim]) -> int:
    used = {c.slot for c in claims}
    slot = 1
    while slot in used or _locked(descriptor, slot):
        slot += 1
    return slot


def _busy() -> Unclaimable:
    return Unclaimable("another program has locked the file", passes=True)


def _running(descriptor: int, claim: Claim) -> bool:
    return _locked(descriptor, claim.slot)


_FLOCK: Final = "hhqqi4x"
"""``struct flock``: type, whence, start, length, process (0 for locks of an open file)."""


def _ask(descriptor: int, command: int, kind: int, start: int) -> int:
    answer = fcntl.fcntl(descriptor, command, struct.pack(_FLOCK, kind, os.SEEK_SET, start, 1, 0))
    return int(struct.unpack(_FLOCK, answer)[0])


def _lock(descriptor: int, slot: int) -> bool:
    try:
        _ask(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, slot)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _locked(descriptor: int, slot: int) -> bool:
    """Return whether another open file has that byte locked."""
    return _ask(descriptor, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, slot) != fcntl.F_UNLCK


def _unlock(descriptor: int, slot: int) -> None:
    _ask(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, slot)


def _lock_soon(descriptor: int) -> None:
    """Have the file to ourselves; others have it for microseconds only."""
    until_s = time.clock_gettime(time.CLOCK_MONOTONIC) + MUTEX_WAIT_S
    while not _lock(descriptor, MUTEX):
        if time.clock_gettime(time.CLOCK_MONOTONIC) > until_s:
            raise _busy()
        time.sleep(PAUSE_S)
