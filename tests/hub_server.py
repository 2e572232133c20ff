"""A hub on loopback: repositories with commits, tags and gates, as much of the protocol as the libraries use."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class Repository:
    """Commits by their 40 hex digits, and names for them."""

    commits: dict[str, Files] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: Files, *names: str) -> str:
        """Add a commit that these branches and tags point to; return its id."""
        digest = hashlib.sha1(json.dumps([len(self.commits), sorted(files)]).encode()).hexdigest()
        self.commits[digest] = files
        self.names.update(dict.fromkeys(names, digest))
        return digest


class Hub:
    """Serves its repositories, keyed by `models/<id>` and `datasets/<id>`, and keeps a list of requests."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        hub = self

        class Handler(_Handler):
            repositories = hub.repositories
            requests = hub.requests

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: dict[str, Repository]
    requests: list[str]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.requests.append(f"{self.command} {path}")
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            self._info(*match.groups())
        elif match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/]+)/?(.*)", path):
            self._tree(*match.groups())
        elif match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/paths-info/([^/]+)", path):
            self._paths_info(*match.groups())
        elif match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind, name, revision, file = match.groups()
            self._file("datasets" if kind else "models", name, revision, file)
        else:
            self._send(404, b"")

    do_HEAD = do_POST = do_GET

    def _find(self, kind: str, name: str, revision: str | None) -> tuple[str, Files] | None:
        """The commit and its files; None once an error was sent."""
        repository = self.repositories.get(f"{kind}/{name}")
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        if repository.gated:
            return self._refuse(403, "GatedRepo")
        commit = repository.names.get(revision or "main", revision or "")
        if commit not in repository.commits:
            return self._refuse(404, "RevisionNotFound")
        return commit, repository.commits[commit]

    def _info(self, kind: str, name: str, revision: str | None) -> None:
        if found := self._find(kind, name, revision):
            siblings = [{"rfilename": file} for file in found[1]]
            self._json({"id": name, "sha": found[0], "private": False, "tags": [], "siblings": siblings})

    def _tree(self, kind: str, name: str, revision: str, folder: str) -> None:
        if found := self._find(kind, name, revision):
            recursive = "recursive=true" in self.path.lower()
            entries: dict[str, dict[str, Any]] = {}
            for path, content in found[1].items():
                inside = path.removeprefix(f"{folder}/") if folder else path
                if folder and inside == path:
                    continue
                parts = inside.split("/")
                for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                    parent = "/".join([*([folder] if folder else []), *parts[:depth]])
                    entries[parent] = _folder(parent)
                if recursive or len(parts) == 1:
                    entries[path] = _entry(path, content)
            if folder and not entries:
                self._refuse(404, "EntryNotFound")
            else:
                self._json(list(entries.values()))

    def _paths_info(self, kind: str, name: str, revision: str) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if found := self._find(kind, name, revision):
            wanted = (
                json.loads(body)["paths"]
                if body.startswith("{")
                else re.findall(r"paths=([^&]+)", unquote(body))
            )
            entries: list[dict[str, Any]] = []
            for path in wanted:
                if path in found[1]:
                    entries.append(_entry(path, found[1][path]))
                elif any(p.startswith(f"{path}/") for p in found[1]):
                    entries.append(_folder(path))
            self._json(entries)

    def _file(self, kind: str, name: str, revision: str, file: str) -> None:
        if not (found := self._find(kind, name, revision)):
            return
        commit, files = found
        if file not in files:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
            return
        content = files[file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_oid(content)}"', "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            start, end = int(wanted[1]), int(wanted[2] or len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(content) - 1)}/{len(content)}"
            self._send(206, content[start : end + 1], headers)
        else:
            self._send(200, content, headers)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
