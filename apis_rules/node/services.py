"""The services of one node, put together: each gets what it needs and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts import bundled_chart, chart_values, compile_chart
from apis_rules.charts import grid_master as mastership_chart
from apis_rules.charts.master import MasterSettings
from apis_rules.charts.master.planner import Planner
from apis_rules.charts.unit import UnitBrain, UnitSettings
from apis_rules.node.battery import Battery
from apis_rules.node.board import Board
from apis_rules.node.catalogue import Catalogue
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
from apis_rules.node.supervision import Supervisor
from apis_rules.node.user import User

if TYPE_CHECKING:
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
        policy, hw_config = documents.policy.to_document(), documents.hw_config.to_document()
        self.board = Board(identity, documents, records, community.clock)
        self.board.observing = around.observing
        self.narration = Narration(self.board)
        self.local_mode = LocalModeKeeper(self.board, around.store)
        self.supervisor = Supervisor(community.clock)
        self.life_progress = self.supervisor.watch("life", STALL_S + around.times.limit_s)
        self.errors = Errors(Catalogue(documents), community, self.board)
        self.safety = LocalSafety(documents)
        self.controller = Controller(
            UnitBrain(
                bundled_chart("converter"),
                UnitSettings.from_documents(policy, hw_config, documents.times),
                self.safety.broken_by,
            ),
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
            Gates(self.board, self.errors, self.battery),
            Diary(identity.unit_id, community.decisions if documents.config.decision_log else None),
            self.errors,
            self.supervisor.watch("user", STALL_S),
            around.source,
        )
        self.mediator = Mediator(community, self.board, self.user, self.battery)
        self.user.attach(self.mediator)
        self.battery.attach(self.mediator)
        self.continuity = Continuity(records, around.store, self.errors)
        chart = bundled_chart("grid_master")
        self.grid_master = GridMaster(
            compile_chart(chart, mastership_chart.EFFECTS, chart_values(chart, documents.values())),
            Planner(MasterSettings.from_documents(policy, documents.times)),
            community,
            self.board,
            self.errors,
            GlobalSafety(self.board, self.errors),
            self.continuity,
            self.supervisor.watch("grid master", STALL_S),
            around.times,
            around.source,
        )
        self.deal_log = DealLog(community, self.board, around.store, self.errors, around.temporary, around.write)
