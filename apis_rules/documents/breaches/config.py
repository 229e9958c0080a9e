"""Rules between the keys of a config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.documents.breaches.sight import Sight
from apis_rules.documents.config import is_server_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.document import Document


_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "dcdc_emulator": ("emulator",),
    "dcdc_v1": ("dcdc_controller", "emu_driver"),
    "dcdc_v2": ("dcdc_controller",),
}


def check_config(document: Document, findings: Findings) -> None:
    """Note what does not fit together."""
    sight = Sight(document, findings)
    _drivers(sight)
    _watchdog(sight)
    _security(sight)
    _later(sight)
    for place, url in sight.texts(("nats", "urls")):
        if not is_server_url(url):
            sight.error(place, "AR511", f"{url!r} is not the URL of a NATS server", "nats://HOST:4222")
    for key in ("stateFileFormat", "fileSystemExclusiveLockFileFormat"):
        text = sight.text(key, "%s")
        if text.count("%s") != 1 or text.count("%") != 1:
            sight.error((key,), "AR234", f"{key} must hold %s once: what the file is for stands there")
    _date_pattern(sight, "dealLogDirFormat")
    management = sight.mapping(("batteryCapacityManagement",))
    if "currentBudgetA" in management and not management.get("enabled", False):
        sight.key_warning(
            ("batteryCapacityManagement", "currentBudgetA"),
            "AR208",
            "the current budget has no effect: batteryCapacityManagement.enabled is not true",
        )


def _drivers(sight: Sight) -> None:
    system = sight.text("systemType")
    connection = sight.mapping(("connection",))
    for driver in _DRIVERS.get(system, ()):
        if driver not in connection:
            sight.key_error(
                ("connection",) if connection else ("systemType",),
                "AR227",
                f"systemType {system} needs connection.{driver}, which is missing",
                f'"connection": {{"{driver}": {{"host": "localhost", "port": {_PORTS[driver]}}}}}',
            )


def _watchdog(sight: Sight) -> None:
    if not sight.flag("watchdog.enabled", default=False):
        return
    missing = _missing(sight, "watchdog", "host", "port", "uri")
    if missing:
        sight.error(
            ("watchdog", "enabled"),
            "AR228",
            f"the watchdog is enabled, but {missing} is missing",
            "say what it asks for, or set watchdog.enabled to false",
        )


def _security(sight: Sight) -> None:
    if not sight.flag("security.enabled", default=False):
        return
    missing = _missing(sight, "security", "pemKeyFile", "pemCertFile")
    if missing:
        sight.error(
            ("security", "enabled"),
            "AR229",
            f"security is enabled, but {missing} is missing",
            "name both files, or set security.enabled to false",
        )
    else:
        sight.warning(
            ("security", "enabled"),
            "AR209",
            "encryption between nodes does not take effect yet",
            "until it does, such a node uses addresses of its own machine only",
        )


def _missing(sight: Sight, group: str, *keys: str) -> str:
    return " and ".join(f"{group}.{key}" for key in keys if key not in sight.mapping((group,)))


def _later(sight: Sight) -> None:
    """What is read and checked, but takes effect with a later capability."""
    if sight.mapping(("controlCenter",)) and sight.flag("controlCenter.enabled", default=True):
        sight.key_warning(
            ("controlCenter",),
            "AR209",
            "the Service Center does not take effect yet",
            "scenario and policy are read from the files; set controlCenter.enabled to false to say so",
        )


_PORTS: Final = {"emulator": 4390, "dcdc_controller": 4380, "emu_driver": 8080}


def _date_pattern(sight: Sight, key: str) -> None:
    """A date pattern in Java's way: letters between quotes are literal, others are parts of the date."""
    pattern = sight.text(key)
    if pattern.count("'") % 2:
        sight.error((key,), "AR234", f"{key} opens a quote that it does not close", "literal text stands in '…'")
        return
    letters = {c for part in pattern.split("'")[::2] for c in part if c.isalpha()}
    unknown = sorted(letters - set("uyMdHmsS"))
    if unknown:
        sight.error(
            (key,),
            "AR234",
            f"{key} holds the letter {unknown[0]!r}, which is no part of a date",
            "literal text stands in '…'; outside, u or y, M, d, H, m and s are parts of the date",
        )
