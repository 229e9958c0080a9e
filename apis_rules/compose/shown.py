"""What a converter's mode means to the process above its node, which knows no driver and no mode."""

from __future__ import annotations

from typing import Final

from apis_rules.ports.types import ConverterMode
from apis_rules.supervisor.duty import Shown

SHOWN: Final = {
    ConverterMode.WAIT: Shown.WAIT,
    ConverterMode.CHARGE: Shown.CURRENT,
    ConverterMode.DISCHARGE: Shown.CURRENT,
    ConverterMode.VOLTAGE_REFERENCE: Shown.HOLDING,
}
