"""A model hub on this machine: it speaks what `huggingface_hub` speaks, and fails in the ways that hubs fail.

Repositories are folders. Large files are kept, as the hub keeps them, under their SHA-256 on another address,
a "CDN", which answers ranges.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants
import pytest
from listener import Listener, send

LARGE = (".safetensors", ".bin", ".gguf")
BLOCK = 4096


class Repository:
    """A folder as the hub serves it. `revisions` are its branches and tags."""

    def __init__(self, folder: Path, revisions: tuple[str, ...] = ("main",), gated: int | None = None):
        self.files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.revisions = revisions
        self.gated = gated
        """The status that files answer with without a token that may have them."""

    @property
    def commit(self) -> str:
        return hashlib.sha1(repr(sorted((n, _sha256(d)) for n, d in self.files.items())).encode()).hexdigest()

    def has(self, revision: str) -> bool:
        return revision in (*self.revisions, self.commit)


class Hub:
    """The hub, with its CDN on another port."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        """Methods and paths, those of the CDN with the range."""
        self.cdn_tokens: list[str] = []
        """Tokens that the CDN was shown: there should be none."""
        self.status: int | None = None
        """What everything answers with."""
        self.good_token = "hf_good"
        self.breaks: list[int] = []
        """After how many bytes the CDN's next answers break off."""
        self.change: Callable[[bytes], bytes] = lambda data: data
        """What the CDN makes of a file; the hub does not know of it."""
        self.go_on = threading.Event()
        """While it is not set, the CDN waits after two blocks."""
        self.go_on.set()
        self.answers = threading.Event()
        """While it is not set, the hub takes connections and answers none."""
        self.answers.set()
        self._hub, self._cdn = (Listener(each, version="HTTP/1.1") for each in (self._answer, self._serve))
        self.url = self._hub.url

    def add(self, name: str, folder: Path, **options: Any) -> Repository:
        self.repositories[name] = Repository(folder, **options)
        return self.repositories[name]

    def close(self) -> None:
        self.go_on.set()
        self.answers.set()
        self._hub.close()
        self._cdn.close()

    # ------------------------------------------------------------------ the hub

    def _answer(self, http: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(http.path).path)
        self.asked.append(f"{http.command} {path}")
        self.answers.wait(60)
        if self.status is not None:
            return send(http, self.status, b"{}")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path):
            return self._api(http, found[1], found[2], found[3] or "main")
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(http, *found.groups())
        return send(http, 404, b"{}")

    def _known(self, http: BaseHTTPRequestHandler, name: str, revision: str) -> Repository | None:
        token = http.headers.get("Authorization")
        if token not in (None, f"Bearer {self.good_token}"):
            message = "Invalid credentials in Authorization header"
            send(http, 401, b"{}", X_Error_Message=message)
        elif name not in self.repositories:
            send(http, 401, b"{}", X_Error_Code="RepoNotFound")  # so the hub answers without a token
        elif not self.repositories[name].has(revision):
            send(http, 404, b"{}", X_Error_Code="RevisionNotFound")
        else:
            return self.repositories[name]
        return None

    def _api(self, http: BaseHTTPRequestHandler, name: str, what: str | None, revision: str) -> None:
        if (repository := self._known(http, name, revision)) is None:
            return
        files: list[dict[str, Any]] = []
        for file, data in repository.files.items():
            fact: dict[str, Any] = {"type": "file", "size": len(data), "oid": _git(data)}
            if file.endswith(LARGE):
                fact["lfs"] = {"oid": _sha256(data), "size": len(data), "pointerSize": 134}
            if what == "tree":
                files.append(fact | {"path": file})
            else:
                lfs = {"lfs": {"sha256": _sha256(data), "size": len(data), "pointerSize": 134}}
                fact = {"rfilename": file, "size": len(data), "blobId": _git(data)}
                files.append(fact | (lfs if file.endswith(LARGE) else {}))
        told = files if what == "tree" else {"id": name, "sha": repository.commit, "siblings": files}
        send(http, 200, json.dumps(told).encode(), Content_Type="application/json")

    def _file(self, http: BaseHTTPRequestHandler, name: str, revision: str, file: str) -> None:
        if (repository := self._known(http, name, revision)) is None:
            return None
        if repository.gated and http.headers.get("Authorization") is None:
            return send(http, repository.gated, X_Error_Code="GatedRepo")
        if file not in repository.files:
            return send(http, 404, X_Error_Code="EntryNotFound")
        data, commit = repository.files[file], {"X_Repo_Commit": repository.commit}
        if not file.endswith(LARGE):
            return send(http, 200, data, **commit, ETag=f'"{_git(data)}"')
        linked = {"X_Linked_Etag": f'"{_sha256(data)}"', "X_Linked_Size": str(len(data))}
        return send(http, 302, **commit, **linked, Location=f"{self._cdn.url}/{_sha256(data)}")

    # ------------------------------------------------------------------ the CDN

    def _serve(self, http: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"CDN {http.path} {http.headers.get('Range', '')}".strip())
        if token := http.headers.get("Authorization"):
            self.cdn_tokens.append(token)
        blobs = {_sha256(data): data for each in self.repositories.values() for data in each.files.values()}
        data = self.change(blobs[http.path[1:]])
        start = int(http.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        http.send_response(206 if start else 200)
        http.send_header("Content-Length", str(len(data) - start))
        if start:
            http.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        http.end_headers()
        end = start + self.breaks.pop(0) if self.breaks else len(data)
        for place in range(start, min(end, len(data)), BLOCK):
            http.wfile.write(data[place : min(place + BLOCK, end)])
            http.wfile.flush()
            if not self.go_on.is_set() and place > start:
                self.go_on.wait(60)
        if end < len(data):
            http.close_connection = True


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def point_here(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process ask the hub, without long waits between its tries, in small blocks."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", BLOCK)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    for name in ("_http", "_xet"):
        monkeypatch.setattr(f"huggingface_hub.utils.{name}.time.sleep", lambda _s: None)
