"""The pure planner of the Grid Master: from everything it knows to what is written, commanded and told."""

from apis_rules.charts.master.memory import Memory
from apis_rules.charts.master.output import MasterPlan, Order, Problem, Put, Reply, Send
from apis_rules.charts.master.picture import (
    Heard,
    ManualOrder,
    Picture,
    Reaction,
    ReactionKind,
    Stored,
    UnitPicture,
)
from apis_rules.charts.master.planner import Planner
from apis_rules.charts.master.settings import MasterSettings, UnitLimits

__all__ = [
    "Heard",
    "ManualOrder",
    "MasterPlan",
    "MasterSettings",
    "Memory",
    "Order",
    "Picture",
    "Planner",
    "Problem",
    "Put",
    "Reaction",
    "ReactionKind",
    "Reply",
    "Send",
    "Stored",
    "UnitLimits",
    "UnitPicture",
]
