"""``apis-rules cluster-config HOST,HOST,HOST --out DIR``: one nats-server configuration for each board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apis_transport.cluster_config import plan_cluster
from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("hosts", metavar="HOST,HOST,HOST", help="three or five boards")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the files; made if need be")
    parser.add_argument("--name", default="apis", help="of the cluster (default: apis)")
    parser.add_argument(
        "--store-dir",
        metavar="DIR",
        default="/var/lib/apis-rules/nats",
        help="where each server keeps what it stores, on its board (default: /var/lib/apis-rules/nats)",
    )
    parser.epilog = "example:\n  apis-rules cluster-config house1.local,house2.local,house3.local --out servers"


def run(args: argparse.Namespace) -> int:
    """Write the files; existing ones are not touched."""
    hosts = [host.strip() for host in args.hosts.split(",")]
    files = {args.out / name: text for name, text in plan_cluster(hosts, args.name, args.store_dir).items()}
    there = [path for path in files if path.exists()]
    if there:
        hint = "another --out, or delete it first"
        raise CannotOpen("AR525", str(there[0]), "exists, and may be in use", hint)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
            print(path)
    except OSError as error:
        raise CannotOpen("AR104", str(args.out), f"cannot be written to: {error.strerror}") from error
    return 0
