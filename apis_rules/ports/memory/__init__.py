"""In-memory twins of the ports, with the same semantics and with faults on demand; the simulator and tests use them."""

from apis_rules.ports.memory.community import MemoryCommunity, StoreSnapshot
from apis_rules.ports.memory.device import MemoryDevice
from apis_rules.ports.memory.faults import Fault, FaultKind, Killed, Line

__all__ = ["Fault", "FaultKind", "Killed", "Line", "MemoryCommunity", "MemoryDevice", "StoreSnapshot"]
