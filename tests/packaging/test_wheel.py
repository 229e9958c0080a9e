"""What is shipped: the wheel holds what it must and nothing else, and works where nothing else is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from functools import partial
from pathlib import Path

import pytest

WHERE = """
import apis_rules, apis_transport
from apis_rules.resources import data_dir
print(apis_rules.__file__)
print(all(data_dir(name).is_dir() for name in ("rules", "statecharts", "transport")))
print((data_dir("transport") / "wiring.yaml").is_file())
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    # The build environment is this one, so that building needs no network.
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=110,
    )
    return next(out.glob("*.whl"))


def declared(folder: str, *patterns: str) -> set[str]:
    return {p.relative_to(ROOT).as_posix() for g in patterns for p in (ROOT / folder).rglob(g) if p.is_file()}


def test_the_wheel_holds_the_packages_and_the_declarations(wheel: Path) -> None:
    """Two import packages, the declared files under ``_data``, the licence; nothing else lands in site-packages."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {n.split("/")[0] for n in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"apis_rules", "apis_transport"}
    sources = declared("apis_rules", "*.py", "*.md", "py.typed") | {
        n.removeprefix("transport/") for n in declared("transport/apis_transport", "*.py", "py.typed")
    }
    assert sources <= names
    data = {
        f"apis_rules/_data/{n}"
        for n in declared("rules", "*") | declared("statecharts", "*") | declared("transport/drivers", "*")
    }
    assert data | {"apis_rules/_data/transport/wiring.yaml"} == {n for n in names if "/_data/" in n}


def test_the_wheel_works_where_nothing_of_the_checkout_is(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment, beside the dependencies alone, the program starts and finds its bundled files."""
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True, symlinks=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True, timeout=110)
    site = next((environment / "lib").glob("python*/site-packages"))
    ours = Path(os.__file__).parent / "site-packages" if sys.prefix == sys.base_prefix else _site_packages()
    # The dependencies come from the environment that runs the tests; the checkout itself must not be seen there.
    (site / "dependencies.py").write_text(
        "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"sys.path.append({str(ours)!r})\n",
        encoding="utf-8",
    )
    (site / "dependencies.pth").write_text("import dependencies\n", encoding="utf-8")
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    run([environment / "bin" / "apis-rules", "--help"])
    where = run([python, "-c", WHERE])
    path, *found = where.stdout.split()
    assert Path(path).is_relative_to(site)
    assert found == ["True", "True"]


def _site_packages() -> Path:
    return next((Path(sys.prefix) / "lib").glob("python*/site-packages"))
