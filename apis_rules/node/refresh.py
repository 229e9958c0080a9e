"""Keeps a running node by its files and by the community's reference: what changes is checked, built, and exchanged.

A file that fails its check never replaces one in force. hwConfig, scenario and the rules of one unit are that unit's
own business. Policy, rules of community extent and charts are the community's: the reference says what is in force,
and a file that differs from it is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from apis_rules.charts.values import broken_times, times_in_force
from apis_rules.decide.rule_files import declare_rules
from apis_rules.documents.diagnostics import Severity
from apis_rules.documents.model import canonical_hash, canonical_json
from apis_rules.documents.reading import parse_hw_config, parse_policy, parse_scenario
from apis_rules.documents.source import read_text
from apis_rules.documents.versions import KeptFile, VersionStore
from apis_rules.documents.watched import Watch
from apis_rules.errors import InputError, PortError
from apis_rules.node.compiled import Compiled, compile_documents
from apis_rules.node.reference import KEY, join_community, read_reference, reference_of
from apis_rules.node.unit_clock import format_utc
from apis_rules.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.decide.reload import RulesInForce
    from apis_rules.decide.rule_files import DeclaredRules
    from apis_rules.documents.model import FileModel
    from apis_rules.documents.policy import Policy
    from apis_rules.documents.watched import Contents, Found
    from apis_rules.documents.wiring import Times
    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors
    from apis_rules.node.identity import Documents
    from apis_rules.node.reference import Reference
    from apis_rules.node.supervision import Progress
    from apis_rules.node.surroundings import NodeFiles, Surroundings
    from apis_rules.ports.state import SharedState, View

log = logging.getLogger("apis_rules.refresh")

T = TypeVar("T")

LOOKS_PER_PERIOD: Final = 2.5
"""Two looks must agree, and both fall into one refreshing period wherever in it the change was made."""

BROKEN_LOOKS: Final = 4
"""What cannot be read is told after so many looks: somebody may still be writing it."""

LONGEST_PAUSE_S: Final = 1.0
WORK_S: Final = 120.0
"""Building and trying rules takes seconds on a small board; a child process that hangs is ended after 10 s."""


@dataclass(slots=True)
class _Source:
    """One file, or the folder of own rules, that is read again."""

    name: str
    watch: Watch
    look_at_s: float = 0.0


@dataclass(slots=True)
class _Held:
    """What is fine in itself and waits for the community: rules that differ from the reference, until it is changed."""

    rules: DeclaredRules | None = None
    told: set[str] = field(default_factory=set)


class Refresher:
    """One node's documents, kept up to date.

    Args:
        exchange: puts everything in force at once, in the loop's thread; raises ``InputError`` where it cannot.
        leave: ends the node in order, because it may take part no longer.
    """

    def __init__(
        self,
        reference: SharedState,
        board: Board,
        rules: RulesInForce,
        errors: Errors,
        progress: Progress,
        around: Surroundings,
        exchange: Callable[[Compiled], None],
        leave: Callable[[str], None],
    ) -> None:
        self._state = reference
        self._board = board
        self._rules = rules
        self._errors = errors
        self._progress = progress
        self._times: Times = around.times
        self._work = around.work
        self._files = around.files
        self._exchange = exchange
        self._leave = leave
        self._held = _Held()
        self._own: Reference | None = None
        self._seen_revision = -1
        self._left = False
        self._versioned = False
        self._wake = asyncio.Event()
        self._kept = _kept(self._files)
        self._sources = _sources(self._files)

    @property
    def _documents(self) -> Documents:
        return self._board.documents

    async def run(self) -> None:
        """Look again and again, and follow the reference, until cancelled."""
        async with self._state.watch(KEY) as view, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear(view))
            self._board.goes_by = self._reference().hash
            while True:
                self._progress.beat()
                await self._keep_first_version()
                self._wake.clear()
                await self._follow(view)
                await self._look_at_files()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._wake.wait()

    async def _hear(self, view: View) -> None:
        async for _ in view.changes():
            self._wake.set()

    def _pause_s(self) -> float:
        now_s = self._board.clock.now_s()
        return min([LONGEST_PAUSE_S, *(max(0.01, source.look_at_s - now_s) for source in self._sources)])

    # The unit's own files.

    async def _look_at_files(self) -> None:
        now_s = self._board.clock.now_s()
        due = [source for source in self._sources if source.look_at_s <= now_s]
        if not due:
            return
        looks = await self._blocking(lambda: [source.watch.look() for source in due])
        for source, found in zip(due, looks, strict=True):
            source.look_at_s = now_s + self._period_s(source.name) / LOOKS_PER_PERIOD
            if found is not None:
                await self._judge(source, found)

    def _period_s(self, name: str) -> float:
        documents = self._documents
        periods = {
            "hwConfig": documents.hw_config.refreshing_period_s,
            "scenario": documents.scenario.refreshing_period_s,
        }
        return periods.get(name, documents.policy.refreshing_period_s)

    async def _judge(self, source: _Source, found: Found) -> None:
        try:
            differing = await self._take(source, found.contents)
        except InputError as error:
            if found.looks < BROKEN_LOOKS:
                return
            self._held.told.add(source.name)
            self._errors.raise_event("file_refused", _sentence(error), f"{source.name} {error}")
        else:
            if differing:
                self._held.told.add(source.name)
                detail, against = f"{source.watch.place}: {differing}", self._reference().hash
                self._errors.raise_event("policy_differs", detail, f"{detail} {against}")
            elif source.name in self._held.told:
                self._held.told.discard(source.name)
                self._errors.raise_event("file_mended", str(source.watch.place), source.name)
        source.watch.judge(found.contents)

    async def _take(self, source: _Source, contents: Contents) -> str:
        """Put in force what a file says, where it may; return what differs from the community's, where it does.

        Raises:
            InputError: the file cannot be used.
        """
        if source.name == "rules":
            return await self._take_rules(contents)
        text = contents[source.watch.place]
        if isinstance(text, InputError):
            raise text
        file, documents = str(source.watch.place), self._documents
        match source.name:
            case "policy":
                policy = parse_policy(text, file).model
                differing = self._reference().differing(reference_of(policy, text, documents.rules.of_the_community))
                return ", ".join(differing)
            case "hwConfig":
                hw_config = parse_hw_config(text, file)
                if hw_config.model != documents.hw_config:
                    kept = KeptFile(file, text, _hash(hw_config.model))
                    await self._put(replace(documents, hw_config=hw_config.model), {source.name: kept})
            case _:
                scenario = parse_scenario(text, file)
                if scenario.model != documents.scenario:
                    kept = KeptFile(file, text, _hash(scenario.model))
                    await self._put(replace(documents, scenario=scenario.model), {source.name: kept})
        return ""

    async def _take_rules(self, contents: Contents) -> str:
        rules = await self._blocking(partial(declare_rules, contents))
        self._held.rules = None
        differing = [k for k, v in self._documents.rules.of_the_community.items() if rules.of_the_community[k] != v]
        if differing:
            self._held.rules = rules
            return ", ".join(f"rules/{name}" for name in differing)
        if rules.hashes != self._documents.rules.hashes:
            await self._put(replace(self._documents, rules=rules), {})
        return ""

    # The community's reference.

    def _reference(self) -> Reference:
        """Return what is in force here, in the form of the reference."""
        if self._own is None:
            policy = self._documents.policy
            kept = self._kept.get("policy")
            text = kept.text if kept else canonical_json(policy.to_document()).decode()
            self._own = reference_of(policy, text, self._documents.rules.of_the_community)
        return self._own

    async def _follow(self, view: View) -> None:
        entry = view.get(KEY)
        if not view.fresh or entry.revision == self._seen_revision or self._left:
            return
        try:
            reference = read_reference(entry)
            if reference is None:
                await join_community(self._state, self._reference())  # the store was made anew
                return
            if reference.hash != self._reference().hash:
                await self._adopt(reference)
        except InputError as error:
            self._left = True
            self._leave(_sentence(error))
        except PortError as error:
            self._errors.note(f"the reference policy was not written: {error}")
            return
        self._seen_revision = entry.revision

    async def _adopt(self, reference: Reference) -> None:
        """Put in force what was published.

        Raises:
            InputError: this node cannot, so it may take part no longer.
        """
        policy = parse_policy(reference.text, "the published policy").model
        rules = self._documents.rules
        if rules.of_the_community != reference.rules and self._held.rules is not None:
            rules = self._held.rules
        own = reference_of(policy, reference.text, rules.of_the_community)
        differing = reference.differing(own)
        unit_id = self._board.identity.unit_id
        reason = ""
        if differing:
            reason = f"this node has other {', '.join(differing)} than was published"
        elif broken := broken_times(policy, self._times):
            reason = f"the published policy does not fit the wiring: {broken[0][1]}"
        elif unit_id not in policy.member_unit_ids:
            reason = f"{unit_id} is no member of the community any more"
        if reason:
            self._left = True
            self._leave(reason)
            return
        before = self._documents.policy
        times = times_in_force(policy, self._times)
        path = str(self._files.policy.path) if self._files else "policy"
        kept = {"policy": KeptFile(path, reference.text, policy.canonical_hash)}
        # Written first: a node that dies from here on finds at its next start what the community goes by.
        await self._write_policy(before, reference.text)
        await self._put(replace(self._documents, policy=policy, times=times, rules=rules), kept)
        self._held.rules = None
        for source in self._sources:
            source.watch.forget()

    async def _write_policy(self, before: Policy, text: str) -> None:
        """Let the unit's own file say what was published, where it says what was in force before."""
        if self._files is None:
            return
        path = Path(self._files.policy.path)
        try:
            await self._blocking(partial(_replace_policy, path, before, text))
        except OSError as error:
            detail = f"{path}: {error.strerror}; at its next start this node is refused"
            self._errors.raise_event("file_not_written", detail)

    # In force.

    async def _put(self, documents: Documents, kept: dict[str, KeptFile]) -> None:
        await self._keep_first_version()
        compiled = await self._blocking(partial(compile_documents, documents, self._rules))
        self._exchange(compiled)
        self._own = None
        self._kept |= kept
        self._board.goes_by = self._reference().hash
        log.info("%s: %s in force", self._board.identity.unit_id, ", ".join(kept) or "rules")
        await self._keep_version()

    async def _keep_first_version(self) -> None:
        """Keep what the node was started with; where it may not join, that was never in force."""
        if not self._versioned and self._board.joined:
            await self._keep_version()

    async def _keep_version(self) -> None:
        if self._files is None:
            return
        self._versioned = True
        store = VersionStore(Path(self._files.versions))
        files = [*self._kept.values(), *self._documents.rules.own]
        since = format_utc(self._board.clock.utc_s())
        try:
            await self._blocking(partial(store.record, files, since))
        except (OSError, InputError) as error:
            self._errors.raise_event("version_not_kept", str(error))

    async def _blocking(self, work: Callable[[], T]) -> T:
        """Do *work*, which may block, beside the loop."""
        with self._progress.waiting(WORK_S):
            done: T = await self._work(work)
        return done


def _kept(files: NodeFiles | None) -> dict[str, KeptFile]:
    if files is None:
        return {}
    return {"hwConfig": files.hw_config, "scenario": files.scenario, "policy": files.policy}


def _sources(files: NodeFiles | None) -> tuple[_Source, ...]:
    places = {name: Path(kept.path) for name, kept in _kept(files).items()}
    if files is not None and files.rules is not None:
        places["rules"] = files.rules
    return tuple(_Source(name, Watch(place)) for name, place in places.items())


def _hash(model: FileModel) -> str:
    return canonical_hash(model.to_document())


def _replace_policy(path: Path, before: Policy, text: str) -> None:
    try:
        found = read_text(path)
        said = parse_policy(found, str(path)).model.canonical_hash
    except InputError:
        return  # somebody is at work on it; it is told as a file that cannot be used
    if found != text and said == before.canonical_hash:
        write_whole(path.resolve(), text.encode(), durable=True)


def _sentence(error: InputError) -> str:
    wrong = [d for d in error.diagnostics if d.severity is Severity.ERROR]
    return "; ".join(f"{d.location}: {d.code} {d.message}" for d in wrong)
