"""``cluster-config``: files that servers start from, and refusals."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from apis_rules.cli import main
from apis_transport.community import open_community
from apis_transport.embedded import find_server
from tests.nats_servers import free_port

HOSTS = "127.0.0.1,127.0.0.2,127.0.0.3"


def test_three_files_that_the_server_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file for each host, each valid, durable, with routes to the others and a name of its own."""
    assert main(["cluster-config", HOSTS, "--out", str(tmp_path / "out"), "--store-dir", str(tmp_path / "s")]) == 0
    files = sorted((tmp_path / "out").iterdir())
    assert capsys.readouterr().out.split() == [str(path) for path in files]
    assert len(files) == 3
    names = set()
    for host, path in zip(HOSTS.split(","), files, strict=True):
        text = path.read_text()
        assert "sync_interval: always" in text
        assert set(re.findall(r"nats://([\d.]+):6222", text)) == set(HOSTS.split(",")) - {host}
        names.add(re.search(r"server_name: (\S+)", text)[1])
        subprocess.run([find_server(), "-t", "-c", path], check=True, capture_output=True)
    assert len(names) == 3


@pytest.mark.parametrize(
    ("hosts", "said"),
    [("a,b", "2 hosts"), ("a,a,b", "twice"), ("a,b c,d", "no host"), ("a,b,c,d", "4 hosts"), ("-a,b,c", "no host")],
)
def test_hosts_that_make_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str], hosts: str, said: str) -> None:
    """What cannot be a cluster with a majority is refused with one sentence, exit 2, and nothing is written."""
    out = tmp_path / "out"
    assert main(["cluster-config", "--out", str(out), "--name=x", "--", hosts]) == 2
    error = capsys.readouterr().err
    assert "AR525" in error
    assert said in error.replace("is not a host", "no host")
    assert not out.exists()


def test_existing_files_stay(tmp_path: Path) -> None:
    """A configuration that may be in use is never written over."""
    arguments = ["cluster-config", HOSTS, "--out", str(tmp_path)]
    assert main(arguments) == 0
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    assert main([*arguments, "--name", "other"]) == 2
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in place of the folder is one sentence with exit code 2."""
    there = tmp_path / "file"
    there.touch()
    assert main(["cluster-config", HOSTS, "--out", str(there)]) == 2
    assert f"{there}: AR104 error: cannot be written to" in capsys.readouterr().err


@pytest.mark.anyio
async def test_the_files_make_a_cluster(tmp_path: Path) -> None:
    """Servers that are started from the files, one on each address, form a cluster that a node can use."""
    client, route = free_port(), free_port()
    assert main(["cluster-config", HOSTS, "--out", str(tmp_path)]) == 0
    processes = [start(tmp_path, host, client, route) for host in HOSTS.split(",")]
    urls = [f"nats://{host}:{client}" for host in HOSTS.split(",")]
    try:
        async with open_community(urls, "c", "k", "E001", tmp_path / "E001", within_s=30) as opened:
            assert opened.times.replicas == 3
            assert (await opened.ports.lease.state()).holder is None
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)


def start(folder: Path, host: str, client: int, route: int) -> subprocess.Popen[bytes]:
    path = folder / f"nats-server-{host.replace('.', '-')}.conf"
    # Other ports, so that a server that runs on this machine already is not in the way.
    text = path.read_text().replace(":4222", f":{client}").replace(":6222", f":{route}")
    path.write_text(text.replace("/var/lib/apis-rules/nats", str(folder / host)))
    return subprocess.Popen([find_server(), "-c", path], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
