"""A client that speaks as a stock client does, in this very process, and the lines of which it makes commits."""

import base64
import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from concord.xet.chunker import cut
from concord.xet.hashes import chunk_hash, file_hash, range_hash, spell
from concord.xet.shard import File, Shard, Term, Xorb, turned
from concord.xet.xorb import Table, seal


@dataclass
class Person:
    """Somebody with a token, or nobody."""

    client: TestClient
    namespace: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> Response:
        return self.client.request(method, path, headers={**self.headers, **more.pop("headers", {})}, **more)

    def get(self, path: str, **more: Any) -> Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Response:
        return self.ask("POST", path, json=body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Response:
        return self.ask("PUT", path, json=body, **more)

    def open(self, name: str = "words", kind: str = "model", **more: Any) -> str:
        """A new repo; the id."""
        done = self.post("/api/repos/create", {"name": name, "type": kind, **more})
        assert done.status_code == 200, done.text
        return f"{self.namespace}/{name}"

    def commit(self, repo: str, *lines: dict[str, Any], ref: str = "main", **header: Any) -> Response:
        """Commit; `lines` as `file` and others make them."""
        said = {"key": "header", "value": {"summary": "A change", "description": "", **header}}
        body = "\n".join(json.dumps(line) for line in (said, *lines))
        return self.ask("POST", f"/api/models/{repo}/commit/{ref}", content=body.encode())

    def batch(self, repo: str, *contents: bytes, **more: Any) -> Response:
        """Ask where to send large files."""
        objects = [{"oid": sha256(content).hexdigest(), "size": len(content)} for content in contents]
        return self.post(f"/{repo}.git/info/lfs/objects/batch", {"operation": "upload", "objects": objects, **more})

    def send(self, repo: str, content: bytes) -> dict[str, Any]:
        """Send a large file; the line with which it is committed as large.bin."""
        (told,) = self.batch(repo, content).json()["objects"]
        if "actions" in told:
            done = self.ask("PUT", told["actions"]["upload"]["href"], content=content)
            assert done.status_code == 200, done.text
        return large("large.bin", content)


class Cas:
    """A client of the Xet protocol with a ticket for one repo."""

    def __init__(self, person: Person, repo: str, what: str = "write") -> None:
        told = person.get(f"/api/models/{repo}/xet-{what}-token/main")
        assert told.status_code == 200, told.text
        assert told.headers["X-Xet-Access-Token"] == told.json()["accessToken"]
        self.person = person
        self.ticket = {"Authorization": f"Bearer {told.json()['accessToken']}"}

    def ask(self, method: str, path: str, **more: Any) -> Response:
        return self.person.client.request(method, f"/cas/v1/{path}", headers={**self.ticket, **more.pop("headers", {})}, **more)


def packed(content: bytes) -> tuple[str, bytes, Table]:
    """A xorb of one file's chunks: its name, its bytes, and what is in it."""
    chunks = list(cut([content]))
    stored = [seal(chunk) for chunk in chunks]
    table = Table.of(zip(map(chunk_hash, chunks), stored, strict=True))
    return spell(table.root), b"".join(stored), table


def described(content: bytes, table: Table, digest: bytes | None = None) -> bytes:
    """The shard of that file."""
    chunks = tuple(table.chunks())
    term = Term(table.root, len(content), 0, len(chunks))
    proof = range_hash(b"".join(chunk for chunk, _ in chunks))
    made = File(file_hash(chunks), (term,), (proof,), turned(digest or sha256(content).digest()))
    return bytes(Shard((made,), (Xorb(table.root, chunks, 0),)))


def file(path: str, content: bytes = b"text") -> dict[str, Any]:
    value = {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}
    return {"key": "file", "value": value}


def large(path: str, content: bytes) -> dict[str, Any]:
    value = {"path": path, "algo": "sha256", "oid": sha256(content).hexdigest(), "size": len(content)}
    return {"key": "lfsFile", "value": value}


def failure(answer: Response) -> tuple[int, str | None]:
    """How a client tells what went wrong."""
    return answer.status_code, answer.headers.get("X-Error-Code")
