"""config.json: who a node is, where its other files are, and how its driver is reached (specification 6.1)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from apis_rules.documents.logs import Logging
from apis_rules.documents.model import FileModel, Flag, Name, Number, Period, Port, Text, UnitId

SystemType: TypeAlias = Literal["dcdc_emulator", "dcdc_v1", "dcdc_v2"]


class Security(FileModel):
    """Encryption of what nodes say to each other."""

    enabled: Flag = False
    pem_key_file: Name | None = None
    pem_cert_file: Name | None = None


class Endpoint(FileModel):
    """Where a device driver listens."""

    host: Name = "localhost"
    port: Port


class Connection(FileModel):
    """The drivers; which of them are used depends on ``systemType``."""

    emulator: Endpoint | None = None
    dcdc_controller: Annotated[Endpoint | None, Field(alias="dcdc_controller")] = None
    emu_driver: Annotated[Endpoint | None, Field(alias="emu_driver")] = None


class ControlCenter(FileModel):
    """The Service Center, which hands out scenarios."""

    enabled: Flag = True
    account: Text | None = None
    password: SecretStr | None = None


class Watchdog(FileModel):
    """A page that is asked for again and again, so that a hardware watchdog stays quiet."""

    enabled: Flag = False
    period_s: Period = 5.0
    host: Name | None = None
    port: Port | None = None
    uri: Name | None = None
    request_timeout_s: Period = 5.0


class BatteryCapacityManagement(FileModel):
    """Several nodes at one battery (a gateway between clusters).

    Attributes:
        current_budget_a: what the battery can give or take in all; several nodes may then use one direction at once.
    """

    enabled: Flag = False
    current_budget_a: Annotated[Number, Field(gt=0)] | None = None


class Nats(FileModel):
    """Where the community's shared state is kept."""

    urls: tuple[Name, ...] = ()
    credentials_file: Name | None = None


class Config(FileModel):
    """A config file. Relative paths count from its folder, then from the working directory.

    Attributes:
        decision_log: whether decisions are kept, so that they can be explained and made again.
        logging: where the action log goes; a logging.properties beside the config counts instead.
        rules: folder of own rule files, which take the place of the bundled ones by name.
        encrypted: path of a key → its encrypted text, for every key that was given as ``KEY.encrypted``.
    """

    program_id: Text = ""
    community_id: UnitId = "NA"
    cluster_id: UnitId = "NA"
    security: Security = Security()
    unit_id: UnitId
    unit_name: Text | None = None
    serial_number: Text = "NA"
    system_type: SystemType
    hw_config_file: Name
    policy_file: Name
    scenario_file: Name
    state_file_format: Name = "{tmpdir}/apis/state/%s"
    deal_log_dir_format: Name = "'{tmpdir}/apis/dealLog/'uuuu'/'MM'/'dd"
    decision_log: Flag = True
    file_system_exclusive_lock_file_format: Name = "{tmpdir}/.apis.%s.lock"
    policy_file_read_timeout_s: Period = 60.0
    connection: Connection = Connection()
    control_center: ControlCenter | None = None
    watchdog: Watchdog = Watchdog()
    battery_capacity_management: BatteryCapacityManagement = BatteryCapacityManagement()
    nats: Nats = Nats()
    logging: Logging = Logging()
    rules: Name | None = None
    encrypted: dict[str, SecretStr] = Field(default_factory=dict, exclude=True)

    @property
    def display_name(self) -> str:
        """The unit's name for people: its own, else ``auto`` and its id."""
        return self.unit_name if self.unit_name is not None else f"auto{self.unit_id}"


def is_server_url(url: str) -> bool:
    """Whether *url* can be that of a NATS server: ``nats://HOST:4222``, ``tls://…`` or ``HOST:4222``."""
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        good = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")  # as the resolver will
    except ValueError:
        return False
    return good and not re.search(r"\s", url)
