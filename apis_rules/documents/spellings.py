"""What is put right before a document is checked against its model.

The specification's own spellings of keys and values, where they differ from the files; placeholders that the existing
system's policy holds for empty lists; encrypted entries.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.document import Document, Path, Place, dotted
from apis_rules.documents.kinds import Kind

if TYPE_CHECKING:
    from apis_rules.documents.diagnostics import Findings

KEYS: Final[dict[Kind, dict[str, str]]] = {
    Kind.CONFIG: {
        "security.enable": "security.enabled",
        "hwConfig file": "hwConfigFile",
        "Scenario file": "scenarioFile",
        "connection.emu_Driver": "connection.emu_driver",
    },
    Kind.HW_CONFIG: {"efficientBatteryGridvoltageRatio": "efficientBatteryGridVoltageRatio"},
    Kind.SCENARIO: {},
    Kind.POLICY: {
        "operationGridVoltageRange": "operationGridVoltageVRange",
        "safety.sumOfDealingUnitGridCurrentAllownacePerUnitA": "safety.sumOfDealingUnitGridCurrentAllowancePerUnitA",
        "safety.branchCurrentCapacityA": "safety.gridTopologyBasedEvaluation.branchCurrentCapacityA",
        "controller.dcdc.voltageReference.authorization.numberOfTraials": (
            "controller.dcdc.voltageReference.authorization.numberOfTrials"
        ),
        "gridMaster.VoltageReferenceSide": "gridMaster.voltageReferenceSide",
        "gridMaster.VoltageReferenceTakeOverDvg": "gridMaster.voltageReferenceTakeOverDvg",
        "gridMaster.gridMasterEnsuring.interlockinconsistency": "gridMaster.gridMasterEnsuring.interlockInconsistency",
        "gridMaster.gridMasterWatching.absence.ensureWaitMsecc": "gridMaster.gridMasterWatching.absence.ensureWaitMsec",
        "gridMaster.GridvoltageOptimization": "gridMaster.gridVoltageOptimization",
        "gridMastererrorSustainingMsec": "gridMaster.errorSustainingMsec",
    },
}
"""Per kind: the key as the specification's text spells it → the key of the files."""

_SIDES: Final = {
    "charge": "chargeUnit",
    "discharge": "dischargeUnit",
    "charging node": "chargeUnit",
    "discharging node": "dischargeUnit",
}
VALUES: Final[dict[Kind, dict[str, dict[str, str]]]] = {
    Kind.POLICY: {
        "gridMaster.voltageReferenceSide": _SIDES,
        "gridMaster.deal.referenceSide": _SIDES,
        "gridMaster.gridMasterSelection.strategy": {
            "voltageReference": "voltageReferenceUnit",
            "Voltage Reference": "voltageReferenceUnit",
        },
    },
}
"""Per kind and key: the value as the specification's text spells it → the value of the files."""

_PLACEHOLDERS: Final = tuple(
    ("safety", "gridTopologyBasedEvaluation", key)
    for key in ("branchAssociation", "branchCurrentCapacityA", "branchLines")
)


def put_right(kind: Kind, document: Document, findings: Findings) -> Document:
    """Return *document* in the spelling of the files; each thing that was put right is a warning in *findings*."""
    if not isinstance(document.value, dict):
        return document
    draft = _Draft(document.file, copy.deepcopy(document.value), dict(document.places), findings)
    draft.value.pop("$schema", None)  # for editors
    for wrong, right in KEYS.get(kind, {}).items():
        draft.respell_key(tuple(wrong.split(".")), tuple(right.split(".")))
    for key, spellings in VALUES.get(kind, {}).items():
        draft.respell_value(tuple(key.split(".")), spellings)
    if kind is Kind.POLICY:
        for path in _PLACEHOLDERS:
            draft.drop_placeholder(path)
    if kind is Kind.CONFIG:
        draft.refuse_own_name("encrypted")
        draft.lift_encrypted(draft.value, ())
    return draft.document()


@dataclass(slots=True)
class _Draft:
    """A document while it is put right."""

    file: str
    value: dict[str, Any]
    places: dict[Path, Place]
    findings: Findings

    def document(self) -> Document:
        return Document(self.file, self.value, self.places)

    def respell_key(self, wrong: Path, right: Path) -> None:
        holder = self.document().get(wrong[:-1])
        if not isinstance(holder, dict) or wrong[-1] not in holder:
            return
        place = self.places[wrong]
        key_location = place.key or place.value
        # The policy's text names one key in another object, which may be missing: it is made where the key stood.
        target: Any = self.value
        for depth, step in enumerate(right[:-1], start=1):
            target = target.setdefault(step, {})
            self.places.setdefault(right[:depth], place)
            if not isinstance(target, dict):
                return
        if right[-1] in target:
            self.findings.error(
                key_location, "AR113", f"{dotted(wrong)} is another spelling of {dotted(right)}, which is given too",
                f"keep {dotted(right)}",
            )  # fmt: skip
            del holder[wrong[-1]]
            return
        self.findings.warning(
            key_location, "AR206", f"{dotted(wrong)} is read as {dotted(right)}", f"write {dotted(right)}"
        )
        target[right[-1]] = holder.pop(wrong[-1])
        for path in [path for path in self.places if path[: len(wrong)] == wrong]:
            self.places[right + path[len(wrong) :]] = self.places[path]

    def respell_value(self, path: Path, spellings: dict[str, str]) -> None:
        holder = self.document().get(path[:-1])
        value = holder.get(path[-1]) if isinstance(holder, dict) else None
        if isinstance(value, str) and value in spellings:
            right = spellings[value]
            self.findings.warning(
                self.places[path].value, "AR207", f"{value!r} is read as {right!r}", f'write "{right}"'
            )
            holder[path[-1]] = right

    def drop_placeholder(self, path: Path) -> None:
        """Drop ``"": ""``, which stands for nothing in the existing system's policy."""
        holder = self.document().get(path)
        if isinstance(holder, dict) and holder.get("") == "":
            del holder[""]

    def refuse_own_name(self, key: str) -> None:
        """Refuse a key that only this module may write."""
        if key in self.value:
            del self.value[key]
            message, hint = f"the key {key} is not known", f"write KEY.{key} for the encrypted form of KEY"
            self.findings.error(self.document().key_location((key,)), "AR200", message, hint)

    def lift_encrypted(self, holder: dict[str, Any], path: Path) -> None:
        """Move what stands under ``KEY.encrypted`` to ``encrypted``, by the path of KEY."""
        for key in list(holder):
            at = (*path, key)
            value = holder[key]
            if key.endswith(".encrypted_"):
                del holder[key]
                self.findings.warning(
                    self.places[at].key or self.places[at].value,
                    "AR208",
                    f"{dotted(at)} has no effect: its last character switches it off",
                    f"write {key.removesuffix('_')}, or take it out",
                )
            elif key.endswith(".encrypted"):
                del holder[key]
                self._keep_encrypted(holder, key.removesuffix(".encrypted"), value, path, at)
            elif isinstance(value, dict):
                self.lift_encrypted(value, at)

    def _keep_encrypted(self, holder: dict[str, Any], name: str, value: Any, path: Path, origin: Path) -> None:
        plain = (*path, name)
        self.places.setdefault(plain, self.places[origin])
        if isinstance(value, dict):
            inner = holder.setdefault(name, {})
            for key, part in value.items():
                self._keep_encrypted(inner if isinstance(inner, dict) else {}, key, part, plain, (*origin, key))
        elif isinstance(value, str):
            self.value.setdefault("encrypted", {})[dotted(plain)] = value
            self.places[("encrypted", dotted(plain))] = self.places[origin]
        else:
            holder.setdefault(name, value)
