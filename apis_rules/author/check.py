"""``check``: every file that was named or lies in a named folder, each by what it is, then all of them together.

Documents are checked here; rule files, charts and the rest by their owners, who are named in ``CHECKERS`` and imported
only when a file of their kind turns up.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from apis_rules.charts.values import broken_times, place_of
from apis_rules.decide.decision import compile_rules
from apis_rules.decide.rule_files import DeclaredRules, declare_rules
from apis_rules.documents import reading
from apis_rules.documents.community import Site, check_endpoints, check_neighbours, check_site, resolve
from apis_rules.documents.config import Config
from apis_rules.documents.diagnostics import Diagnostic, Findings, Location
from apis_rules.documents.hw_config import HwConfig
from apis_rules.documents.kinds import Kind, kind_of
from apis_rules.documents.load import ENDINGS, PROPERTIES, load_document
from apis_rules.documents.model import FileModel
from apis_rules.documents.policy import Policy
from apis_rules.documents.reading import Loaded
from apis_rules.documents.scenario import Scenario
from apis_rules.documents.watched import read_contents
from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from apis_rules.documents.document import Document
    from apis_rules.documents.watched import Contents

CHECKERS: Final[Mapping[Kind, str]] = {
    Kind.RULES: "apis_rules.author.rule_analysis:check_document",
    Kind.ERRORS: "apis_rules.decide.error_catalogue:check_document",
    Kind.CASES: "apis_rules.author.case_files:check_document",
    Kind.CHART: "apis_rules.charts.bindings:check_document",
    Kind.WALK: "apis_rules.charts.walks:check_document",
    Kind.WIRING: "apis_rules.documents.wiring:check_document",
    Kind.DRIVER: "apis_rules.documents.driver:check_document",
    Kind.FAULTS: "apis_rules.grid.fault_script:check_document",
    Kind.LOGGING: "apis_rules.documents.logging_properties:check_document",
}
"""Who checks the other kinds: ``module:function`` of (document, findings)."""

ANALYSES: Final[tuple[str, ...]] = ("apis_rules.author.analysis:analyse",)
"""What is looked for in scenarios and between them: each ``module:function`` of (sites, findings)."""


M = TypeVar("M", bound=FileModel)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        diagnostics: by place.
        files: how many were looked at.
        unreadable: whether one of them could not be read at all.
    """

    diagnostics: tuple[Diagnostic, ...]
    files: int
    unreadable: bool


@dataclass(slots=True)
class _Run:
    """A check under way.

    Attributes:
        loaded: each document once, however many configs name it.
        rule_files: those found, and whether each was named by itself.
        together: folder of rule files → what a node would go by with it; None where it would not start.
    """

    findings: Findings = field(default_factory=Findings)
    loaded: dict[Path, Loaded[Any] | None] = field(default_factory=dict)
    files: int = 0
    unreadable: bool = False
    rule_files: dict[Path, bool] = field(default_factory=dict)
    together: dict[Path, DeclaredRules | None] = field(default_factory=dict)

    def read(self, path: Path, *, kind: Kind | None, named: bool) -> None:
        """Check the file at *path*; one that lies in a folder and is of no known kind is passed over with a warning."""
        key = path.resolve()
        if key in self.loaded:
            return
        self.loaded[key] = None
        found = Findings()
        try:
            document = load_document(path, found)
            self.findings.extend(found.sorted())
            self.files += 1
            found_kind = kind or kind_of(document)
            if found_kind in (Kind.RULES, Kind.ERRORS):
                self.rule_files[path] = named
            self.loaded[key] = self._check(document, found_kind)
        except InputError as error:
            unknown = error.diagnostics[0].code == "AR115"
            if unknown and not named:
                self.findings.warning(Location(str(path)), "AR115", "is of no known kind; it was passed over")
                return
            self.findings.extend(error.diagnostics)
            self.unreadable = True

    def read_folder(self, folder: Path, kind: Kind | None = None) -> None:
        """Check every file in *folder* and below."""
        inside = list(_files(folder))
        if not inside:
            self.findings.warning(Location(str(folder)), "AR116", "holds no .json, .yaml or .yml file")
        for file in inside:
            self.read(file, kind=kind, named=False)

    def own_rules(self, site: Site) -> None:
        """Check the folder of rule files that a config names, with the site's values in the rules."""
        config = site.config
        if config is None or config.model.rules is None:
            return
        folder = resolve(config.model.rules, Path(config.document.file))
        if not folder.is_dir():
            place = config.document.location(("rules",))
            self.findings.warning(place, "AR102", f"there is no folder {folder} here", "it was not checked")
            return
        self.read_rules(folder)
        rules = self.together[folder.resolve()]
        if rules is not None and site.policy is not None and site.hw_config is not None:
            constants = {"policy": site.policy.model.to_document(), "hwConfig": site.hw_config.model.to_document()}
            for rule_file in rules.questions.values():
                if Path(rule_file.file).parent == folder:
                    compile_rules(rule_file, constants, self.findings)

    def read_rules(self, folder: Path) -> None:
        """Check the rule files in *folder*, by themselves and in front of the bundled ones."""
        self.read_folder(folder)
        self._declare(folder, read_contents(folder))

    def rules_found(self) -> None:
        """Check the rule files that were found in front of the bundled ones, as a node would read them.

        A file that was named alone may be a draft with a name of its own; it stands in front where it has a bundled
        one's.
        """
        bundled = data_dir("rules")
        for path, named in self.rule_files.items():
            folder = path.parent
            if folder.resolve() == bundled.resolve():
                continue
            if not named:
                self._declare(folder, read_contents(folder))
            elif any((bundled / path.stem).with_suffix(ending).exists() for ending in ENDINGS):
                self._declare(path, read_contents(path))

    def _declare(self, place: Path, contents: Contents) -> None:
        key = place.resolve()
        if key in self.together:
            return
        self.together[key] = None
        try:
            self.together[key] = declare_rules(contents)
        except InputError as error:
            self.findings.extend(error.diagnostics)

    def _check(self, document: Document, kind: Kind) -> Loaded[Any] | None:
        model = reading.MODELS.get(kind)
        if model is None:
            if kind in CHECKERS:
                _function(CHECKERS[kind])(document, self.findings)
            return None
        found = Findings()
        document, read = reading.read_model(model, kind, document, found)
        self.findings.extend(found.sorted())
        return None if read is None or found.failed else Loaded(read, document, found.sorted())

    def linked(self, config: Loaded[Config], key: str, name: str, kind: Kind, model: type[M]) -> Loaded[M] | None:
        """Return the file that *config* names, checked; a config may be checked where the files do not lie."""
        path = resolve(name, Path(config.document.file))
        if not path.exists():
            self.findings.warning(
                config.document.location((key,)), "AR102", f"there is no file {path} here", "it was not checked"
            )
            return None
        self.read(path, kind=kind, named=True)
        loaded = self.loaded[path.resolve()]
        if loaded is None or isinstance(loaded.model, model):
            return loaded
        is_kind = next(k for k, m in reading.MODELS.items() if isinstance(loaded.model, m))
        message = f"{name} is a {is_kind}, but {key} names a {kind}"
        self.findings.error(config.document.location((key,)), "AR239", message, f"name the {kind} file")
        return None

    def of(self, model: type[M]) -> list[Loaded[M]]:
        return [loaded for loaded in self.loaded.values() if loaded is not None and isinstance(loaded.model, model)]

    def sites(self) -> list[Site]:
        """Return the nodes that configs tie together, and each scenario that none names with what is at hand."""
        configs = self.of(Config)
        sites = [
            Site(
                config,
                self.linked(config, "hwConfigFile", config.model.hw_config_file, Kind.HW_CONFIG, HwConfig),
                self.linked(config, "policyFile", config.model.policy_file, Kind.POLICY, Policy),
                self.linked(config, "scenarioFile", config.model.scenario_file, Kind.SCENARIO, Scenario),
            )
            for config in configs
        ]
        tied = {id(site.scenario) for site in sites}
        loose = [scenario for scenario in self.of(Scenario) if id(scenario) not in tied]
        hw_configs, policies = self.of(HwConfig), self.of(Policy)
        hw_config = hw_configs[0] if len(hw_configs) == 1 else None
        policy = policies[0] if len(policies) == 1 else None
        sites += [Site(None, hw_config, policy, scenario) for scenario in loose]
        if not sites and hw_config and policy:
            sites.append(Site(None, hw_config, policy, None))
        return sites


def check_paths(paths: Sequence[Path], *, kind: Kind | None = None, rules: Path | None = None) -> Report:
    """Check the files at *paths*, all that lie in the folders among them and below, and what configs name.

    Args:
        paths: files and folders.
        kind: what the files are, where their keys do not tell.
        rules: a folder of own rule files, that stands in front of the bundled ones.
    """
    run = _Run()
    for path in paths:
        if path.is_dir():
            run.read_folder(path, kind)
        else:
            run.read(path, kind=kind, named=True)
    if rules is not None:
        run.read_rules(rules)
    sites = run.sites()
    for site in sites:
        run.own_rules(site)
        check_site(site, run.findings)
        if site.config is not None:
            _check_endpoints(site.config, run.findings)
    for policy in run.of(Policy):
        _check_times(policy, run.findings)
    run.rules_found()
    check_neighbours([site.config for site in sites if site.config], run.findings)
    for name in ANALYSES:
        _function(name)(sites, run.findings)
    return Report(run.findings.sorted(), run.files, run.unreadable)


def _check_endpoints(config: Loaded[Config], findings: Findings) -> None:
    """Warn of what a run would refuse: a file may be checked before its addresses are those of the place."""
    found = Findings()
    check_endpoints(config, config.model.nats.urls, found)
    for refused in found.sorted():
        findings.warning(refused.location, refused.code, refused.message, refused.hint)


def _check_times(policy: Loaded[Policy], findings: Findings) -> None:
    """Hold the times of a policy against those of the wiring, over one server and over three (AR504)."""
    wiring = load_wiring()
    one, three = (broken_times(policy.model, wiring.times_of(kind)) for kind in ("embedded", "cluster"))
    for key, sentence in one:
        findings.error(policy.document.location(place_of(key)), "AR504", sentence)
    for key, sentence in three:
        if key not in dict(one):
            place = policy.document.location(place_of(key))
            findings.warning(place, "AR504", f"over three servers {sentence}", "over one server it holds")


def _files(folder: Path) -> Iterable[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(files):
            if name.endswith((*ENDINGS, PROPERTIES)) and not name.startswith("."):
                yield Path(place, name)


def _function(name: str) -> Callable[..., None]:
    module, _, function = name.partition(":")
    found: Callable[..., None] = getattr(importlib.import_module(module), function)
    return found
