"""``transport/drivers/*.yaml``: how a device driver is asked, and where in its answers the unit data stand.

The form is told in ``transport/drivers/README.md``. A driver that passes the check cannot be sent a set without one of
its set-points: an existing emulator stops for good at such a request.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.document import dotted
from apis_rules.documents.jsonpath import compile_path
from apis_rules.documents.load import load_document
from apis_rules.documents.model import Count, FileModel, Flag, Text
from apis_rules.documents.reading import report
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from apis_rules.documents.document import Document, Path

Place: TypeAlias = Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")]
"""A dotted place in the unit data (specification 8)."""
Paths: TypeAlias = Annotated[
    tuple[Text, ...], Field(min_length=1), BeforeValidator(lambda v: [v] if isinstance(v, str) else v)
]
"""JSONPaths, of which the first that finds something counts."""
UrlPath: TypeAlias = Annotated[str, Field(pattern=r"^/[^?#\s]*$")]
Host: TypeAlias = Literal["connection.emulator", "connection.dcdc_controller", "connection.emu_driver"]

_IN_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_SET_POINTS: Final = {
    "set_mode": frozenset({"mode", "grid_voltage_v", "grid_current_a", "droop_ratio"}),
    "set_voltage": frozenset({"grid_voltage_v", "droop_ratio"}),
    "set_current": frozenset({"grid_current_a"}),
}


class _Part(FileModel):
    # This file is ours: its keys are the names that the code uses.
    model_config = ConfigDict(alias_generator=None)


class _Asked(_Part):
    host: Text
    path: UrlPath


class VersionRequest(_Asked):
    """How the driver is asked for its version.

    Attributes:
        ours: the highest major version that we understand.
    """

    version: Paths
    ours: Count


class DriverRequest(_Asked):
    """One request, and what its answer means.

    Attributes:
        query: values may be templates, as ``path`` may.
        answer: place in the unit data ← where in the answer.
        needs: places without which the answer is none, and what must stand there.
    """

    query: dict[str, Text] = Field(default_factory=dict)
    answer: Annotated[dict[Place, Paths], Field(min_length=1)]
    needs: dict[Place, Literal["number", "text"]] = Field(default_factory=dict)


class Driver(_Part):
    """One kind of device driver.

    Attributes:
        hosts: name used in the requests → key of config.json.
        confirm_unit: whether no set may leave before a reading has shown that the driver knows the unit.
        read: requests whose answers together are one full reading.
    """

    format: Literal[1]
    driver: Text
    about: Text = ""
    hosts: Annotated[dict[str, Host], Field(min_length=1)]
    confirm_unit: Flag = False
    version: VersionRequest | None = None
    read: Annotated[tuple[DriverRequest, ...], Field(min_length=1)]
    status: DriverRequest
    set_mode: DriverRequest
    set_voltage: DriverRequest
    set_current: DriverRequest


@cache
def load_driver(name: str) -> Driver:
    """Return the bundled driver file for the ``systemType`` *name*; it is read once per process.

    Raises:
        InputError: with everything that is wrong: AR1xx and AR2xx for its form, AR600 to AR603 for its meaning.
    """
    return read_driver(data_dir("transport") / "drivers" / f"{name}.yaml")


def read_driver(path: FilePath) -> Driver:
    """Read the driver file at *path*; raises what ``load_driver`` raises."""
    findings = Findings()
    driver = _read(load_document(path, findings), findings)
    if driver is None or findings.failed:
        raise InputError(findings.sorted())
    return driver


def check_document(document: Document, findings: Findings) -> None:
    """Note everything that is wrong with a driver file."""
    _read(document, findings)


def _read(document: Document, findings: Findings) -> Driver | None:
    try:
        driver = Driver.model_validate(document.value)
    except ValidationError as error:
        report(Driver, document, error, findings)
        return None
    for path, asked in _requests(driver):
        _check_request(driver, document, path, asked, findings)
    return driver


def _requests(driver: Driver) -> Iterator[tuple[Path, _Asked]]:
    if driver.version:
        yield ("version",), driver.version
    for index, asked in enumerate(driver.read):
        yield ("read", index), asked
    yield ("status",), driver.status
    for name in _SET_POINTS:
        yield (name,), getattr(driver, name)


def _check_request(driver: Driver, document: Document, path: Path, asked: _Asked, findings: Findings) -> None:
    if asked.host not in driver.hosts:
        where, known = document.location((*path, "host")), ", ".join(driver.hosts)
        findings.error(where, "AR600", f"there is no host {asked.host!r}", f"known: {known}")
    _check_templates(document, path, asked, findings)
    if isinstance(asked, VersionRequest):
        _check_paths(document, (*path, "version"), asked.version, findings)
    if isinstance(asked, DriverRequest):
        _check_needs(document, path, asked, findings)
        for place, texts in asked.answer.items():
            _check_paths(document, (*path, "answer", place), texts, findings)


def _check_paths(document: Document, path: Path, texts: tuple[str, ...], findings: Findings) -> None:
    for text in texts:
        try:
            compile_path(text, document.location(path))
        except InputError as error:
            findings.extend(error.diagnostics)


def _check_templates(document: Document, path: Path, asked: _Asked, findings: Findings) -> None:
    needed = _SET_POINTS.get(str(path[0]), frozenset())
    templates: dict[Path, str] = {(*path, "path"): asked.path}
    if isinstance(asked, DriverRequest):
        templates |= {(*path, "query", key): text for key, text in asked.query.items()}
    used: set[str] = set()
    for place, text in templates.items():
        names = set(_IN_BRACES.findall(text))
        used |= names
        for name in sorted(names - needed - {"unit"}):
            known = " ".join(f"{{{n}}}" for n in sorted(needed | {"unit"}))
            message = f"{{{name}}} is not known in {dotted(path)}"
            findings.error(document.location(place), "AR601", message, f"known: {known}")
    for name in sorted(needed - used):
        message = f"{dotted(path)} leaves out {{{name}}}"
        findings.error(document.key_location(path), "AR602", message, "each set carries all of its set-points")


def _check_needs(document: Document, path: Path, asked: DriverRequest, findings: Findings) -> None:
    for place in asked.needs:
        if not any(place == given or place.startswith(f"{given}.") for given in asked.answer):
            where = document.key_location((*path, "needs", place))
            findings.error(where, "AR603", f"{place} is needed, but nothing in 'answer' gives it")


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """Put *values* where *template* names them in braces."""
    return _IN_BRACES.sub(lambda match: values[match[1]], template)
