"""The pure planner of the Grid Master: from everything it knows to what is written, commanded and told.

The planner itself is ``master.planner.Planner``: it imports the effects of the charts, which import the records here.
"""

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
from apis_rules.charts.master.settings import MasterSettings, UnitLimits

__all__ = [
    "Heard",
    "ManualOrder",
    "MasterPlan",
    "MasterSettings",
    "Memory",
    "Order",
    "Picture",
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
