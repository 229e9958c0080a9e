"""A node shows the servers who it is: by an NKey's seed, or by a JWT and its seed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

import nkeys
import pytest

from apis_transport.connection import open_connection
from apis_transport.errors import CannotOpen
from tests.nats_servers import Server

pytestmark = pytest.mark.anyio


def make_seed(kind: int) -> bytes:
    return nkeys.encode_seed(os.urandom(32), kind)


def public(seed: bytes) -> str:
    return nkeys.from_seed(bytearray(seed)).public_key.decode()


def make_jwt(signer: bytes, subject: bytes, name: str, claims: dict[str, object]) -> str:
    """A token as the servers take it: signed by *signer*, about *subject*."""

    def part(content: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    body = {"iat": 1_700_000_000, "iss": public(signer), "sub": public(subject), "name": name, "nats": claims}
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
    signed = f"{part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part(body)}"
    signature = nkeys.from_seed(bytearray(signer)).sign(signed.encode())
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def started(folder: Path, text: str) -> Server:
    server = Server(folder / "server")
    config = folder / "server" / "server.conf"
    plain = config.read_text()
    # A store of its own would need a system account of the operator's.
    without_store = plain[: plain.index("jetstream {")]
    config.write_text(f'{without_store}\nports_file_dir: "{folder / "server"}"\n{text}\n')
    return server.start()


async def connects(server: Server, credentials: Path | None) -> bool:
    async with open_connection([server.url], "probe", within_s=2, credentials=credentials) as connection:
        return connection.connected


async def refused(server: Server, credentials: Path | None) -> str:
    with pytest.raises(CannotOpen) as caught:
        await connects(server, credentials)
    assert caught.value.code == "AR513"
    assert "SU" not in str(caught.value).replace("SU…", "")
    return str(caught.value)


async def test_a_seed_alone(tmp_path: Path) -> None:
    """Whoever has the seed of a key that the server knows is let in; another seed, or none, is refused."""
    mine, other = make_seed(nkeys.PREFIX_BYTE_USER), make_seed(nkeys.PREFIX_BYTE_USER)
    (tmp_path / "mine.nk").write_bytes(mine + b"\n")
    (tmp_path / "other.nk").write_bytes(other + b"\n")
    server = started(tmp_path, f"authorization {{ users: [{{ nkey: {public(mine)} }}] }}")
    try:
        assert await connects(server, tmp_path / "mine.nk")
        assert "refuses these credentials" in await refused(server, tmp_path / "other.nk")
        assert "refuses these credentials" in await refused(server, None)
    finally:
        server.stop()


async def test_a_jwt_and_its_seed(tmp_path: Path) -> None:
    """A ``*.creds`` file of a user whose account the server knows is let in; one of another account is refused."""
    operator, account, stranger = (
        make_seed(k) for k in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
    )
    user = make_seed(nkeys.PREFIX_BYTE_USER)
    unlimited = {"subs": -1, "data": -1, "payload": -1}
    limits = {**unlimited, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
    account_jwt = make_jwt(operator, account, "site", {"type": "account", "version": 2, "limits": limits})
    operator_jwt = make_jwt(operator, operator, "operator", {"type": "operator", "version": 2})
    for name, signer in (("mine", account), ("other", stranger)):
        token = make_jwt(signer, user, "node", {"type": "user", "version": 2, "pub": {}, "sub": {}, **unlimited})
        (tmp_path / f"{name}.creds").write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.decode()}\n------END USER NKEY SEED------\n"
        )
    server = started(
        tmp_path,
        f"operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload {{ {public(account)}: {account_jwt} }}",
    )
    try:
        assert await connects(server, tmp_path / "mine.creds")
        assert "refuses these credentials" in await refused(server, tmp_path / "other.creds")
    finally:
        server.stop()


async def test_a_file_without_credentials(tmp_path: Path) -> None:
    """One that is not there, and one that holds no seed, are said before anything is tried."""
    (tmp_path / "empty").write_text("")
    (tmp_path / "half.creds").write_text("-----BEGIN NATS USER JWT-----\nx.y.z\n")
    (tmp_path / "text").write_text("user: me, password: secret\n")
    for name, what in (
        ("missing", "cannot be read: No such file"),
        ("empty", "holds no user's seed"),
        ("half.creds", "holds no user's seed"),
        ("text", "holds no user's seed"),
    ):
        with pytest.raises(CannotOpen) as caught:
            async with open_connection(["nats://127.0.0.1:1"], "probe", within_s=0.5, credentials=tmp_path / name):
                pass
        assert caught.value.code == "AR513"
        assert what in str(caught.value)
        assert "secret" not in str(caught.value)
