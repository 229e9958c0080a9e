"""One process of a machine commands a converter: a lock that lies in no file and names nobody who is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.claim import converter_lock
from apis_rules.documents.config import Config
from apis_rules.file_lock import Locked, file_lock
from tests.compose.houses import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

SHARE = """
import os, subprocess, sys
from pathlib import Path
from apis_rules.compose.claim import converter_lock
from apis_rules.documents.config import Config
from apis_rules.file_lock import file_lock
config = Config.model_validate_json(sys.argv[3])
locks = {"file": lambda: file_lock(Path(sys.argv[2])), "converter": lambda: converter_lock(config)}
with locks[sys.argv[1]]() as descriptor:
    kept = subprocess.Popen(["cat"], pass_fds=[descriptor])
    print(kept.pid, flush=True)
    os._exit(0)
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A unit whose converter nobody else of this machine has."""
    files = dict.fromkeys(("hwConfigFile", "policyFile", "scenarioFile"), "not needed")
    emulator = {"emulator": {"host": tmp_path.name, "port": 4390}}
    return Config.model_validate({"unitId": "E001", "systemType": "dcdc_emulator", "connection": emulator, **files})


def is_free(lock: Callable[[], AbstractContextManager[int]]) -> bool:
    try:
        with lock():
            return True
    except Locked:
        return False


def test_a_converter_has_one_process(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A second one is refused with who has it, also where temporary files lie elsewhere and were cleaned; then free."""
    with converter_lock(config):
        monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("elsewhere")))
        for _ in range(3):
            with pytest.raises(Locked) as caught, converter_lock(config):
                pass
            assert caught.value.owner == f"process {os.getpid()}"
    with converter_lock(config):
        pass


@pytest.mark.parametrize("kind", ["file", "converter"])
def test_a_lock_names_nobody_who_is_gone(config: Config, tmp_path: Path, kind: str) -> None:
    """It is kept by whoever shares it when the process that made it has died, and then names no dead process."""
    path = tmp_path / "unit.lock"
    lock = {"file": lambda: file_lock(path), "converter": lambda: converter_lock(config)}[kind]
    command = [sys.executable, "-c", SHARE, kind, str(path), config.model_dump_json(by_alias=True, exclude_unset=True)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        assert first.stdin
        assert first.stdout.readline().strip().isdecimal()
        first.wait(10)
        with pytest.raises(Locked) as caught, lock():
            pass
        assert caught.value.owner == ""
        # The one that shared it ends with its input.
        first.stdin.close()
        first.stdout.read()
    until(lambda: is_free(lock), 10, "the lock is free when nobody shares it any more")


def test_a_lock_names_the_process_that_stands_for_the_run(tmp_path: Path) -> None:
    """Nodes die and are started again; the process above them is the one to be named."""
    path = tmp_path / "unit.lock"
    with file_lock(path, owner_pid=os.getppid()), pytest.raises(Locked) as caught, file_lock(path):
        pass
    assert caught.value.owner == f"process {os.getppid()}"
