"""The services of one node, put together: each gets what it needs and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.decide.engine import EngineFailure
from apis_rules.decide.rule_files import HARD_LIMITS
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.errors import InputError
from apis_rules.node.battery import Battery
from apis_rules.node.board import Board
from apis_rules.node.catalogue import Catalogue
from apis_rules.node.compiled import SCENARIO, compile_brain, compile_mastership, compile_planner
from apis_rules.node.continuity import Continuity
from apis_rules.node.controller import Controller
from apis_rules.node.deal_log import DealLog
from apis_rules.node.diary import Diary
from apis_rules.node.errors import Errors
from apis_rules.node.gates import Gates
from apis_rules.node.global_safety import GlobalSafety
from apis_rules.node.grid_master import GridMaster
from apis_rules.node.local_mode import LocalModeKeeper
from apis_rules.node.local_safety import LocalSafety
from apis_rules.node.mediator import Mediator
from apis_rules.node.narration import Narration
from apis_rules.node.outside import Outside
from apis_rules.node.questions import open_rules
from apis_rules.node.supervision import Supervisor
from apis_rules.node.user import User, open_scenario

if TYPE_CHECKING:
    from apis_rules.node.compiled import Compiled
    from apis_rules.node.identity import Documents, Identity
    from apis_rules.node.records import Records
    from apis_rules.node.surroundings import Surroundings
    from apis_rules.ports.bundle import NodePorts

STALL_S: Final = 3.0
"""A loop that makes no progress for so long stands still."""


class Services:
    """Made once per run of a node, in the order in which they depend on each other."""

    def __init__(
        self, identity: Identity, documents: Documents, ports: NodePorts, records: Records, around: Surroundings
    ) -> None:
        community = ports.community
        self.rules = open_rules(documents)
        self.board = Board(identity, documents, records, community.clock)
        self.narration = Narration(self.board)
        self.local_mode = LocalModeKeeper(self.board, around.store, around.inherited_mode)
        self.supervisor = Supervisor(community.clock)
        self.life_progress = self.supervisor.watch("life", STALL_S + around.times.limit_s)
        self.errors = Errors(Catalogue(documents, self.rules), community, self.board)
        self.safety = LocalSafety(self.rules)
        self.controller = Controller(
            compile_brain(documents, self.rules.compiled(HARD_LIMITS)),
            ports,
            self.board,
            around.store,
            self.errors,
            self.safety,
            self.supervisor.watch("controller", STALL_S),
        )
        self.battery = Battery(self.board, self.errors, around.temporary)
        self.user = User(
            self.board,
            Gates(self.board, self.errors, self.battery, self.rules),
            Diary(identity.unit_id, community.decisions if documents.config.decision_log else None),
            self.errors,
            self.supervisor.watch("user", STALL_S),
            around.source,
        )
        self.mediator = Mediator(community, self.board, self.user, self.battery)
        self.user.attach(self.mediator)
        self.outside = Outside(community, self.board, self.mediator)
        self.battery.attach(self.mediator)
        self.continuity = Continuity(records, around.store, self.errors)
        self.grid_master = GridMaster(
            compile_mastership(documents),
            compile_planner(documents),
            community,
            self.board,
            self.errors,
            GlobalSafety(self.board, self.errors, self.rules),
            self.continuity,
            self.supervisor.watch("grid master", STALL_S),
            around.times,
            around.source,
        )
        self.deal_log = DealLog(community, self.board, around.store, self.errors, around.temporary, around.write)

    def exchange(self, compiled: Compiled) -> None:
        """Put other documents in force, all of them at once: nothing runs between the first step and the last.

        Raises:
            InputError: the engine refuses them; nothing has changed.
        """
        try:
            live = open_scenario(compiled.scenario)
        except EngineFailure as failure:
            raise refusal(Location(SCENARIO), "AR266", str(failure)) from failure
        taken = self.rules.take(compiled.tried)
        if not taken.accepted:
            live.close()
            raise InputError(taken.findings)
        self.board.documents.exchange(compiled.documents)
        self.controller.exchange_brain(compiled.brain)
        self.user.exchange_scenario(compiled.scenario, live)
        self.grid_master.exchange(compiled.planner, compiled.mastership)
        self.board.changed("documents")

    def close(self) -> None:
        """Free the memory that the engine holds for this node."""
        self.rules.close()
        self.user.close()
