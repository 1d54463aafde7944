"""Google's object store as an emulator on loopback, and a proxy before it that fails now and then."""

import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from google.cloud import storage
from nights import COMPARED
from rows import TOOLS

from pipeline.corpus import Corpus


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Proxy(ThreadingHTTPServer):
    """Passes requests on, notes them, and fails as many as it is told.

    Attributes:
        seen: method and path of every request that was passed on.
        failed: how many were answered 429 or 503, or cut.
        policies: what buckets say of themselves besides.
        share: of requests that fail: a third of these 429, a third 503, a third of the connections cut, before or after the
            request went through.
    """

    daemon_threads = True

    def __init__(self, port: int, behind: int) -> None:
        self.behind = behind
        self.seen: list[tuple[str, str]] = []
        self.failed = 0
        self._share = 0.0
        self._dice = random.Random(0)
        self._chosen: list[tuple[str, str, str]] = []
        self.policies: dict[str, Any] = {}
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Passing)

    def fail(self, share: float, seed: int) -> None:
        with self._lock:
            self._share, self._dice, self.failed = share, random.Random(seed), 0

    def choose(self, method: str, part: str, fate: str) -> None:
        """Choose the fate of the next request of a method that has some text in its path."""
        with self._lock:
            self._chosen.append((method, part, fate))

    def fate(self, method: str, path: str) -> str:
        with self._lock:
            for each in self._chosen:
                if method == each[0] and each[1] in path:
                    self._chosen.remove(each)
                    self.failed += 1
                    return each[2]
            if self._dice.random() >= self._share:
                return ""
            self.failed += 1
            return self._dice.choice(("429", "503", "cut before", "cut after"))

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy
    # An answer goes in one piece; in two, each waits 40 ms for the other side's word.
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def _pass(self) -> None:
        body = self._body()
        fate = self.server.fate(self.command, unquote(self.path))
        if fate.isdigit():
            self._answer(int(fate), [("Content-Type", "text/plain")], b"not now")
            return
        if fate == "cut before":
            self._cut()
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        behind.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() != "host"})
        answer = behind.getresponse()
        data = answer.read()
        behind.close()
        self.server.seen.append((self.command, unquote(self.path)))
        if fate == "cut after":
            self._cut()
            return
        if self.server.policies and self.command == "GET" and re.fullmatch(r"/storage/v1/b/\w+(\?.*)?", self.path):
            data = json.dumps(json.loads(data) | self.server.policies).encode()
        # Parts of an upload go to the address that the emulator gives, which is its own.
        own, outer = (f"127.0.0.1:{port}" for port in (self.server.behind, self.server.server_port))
        kept = [
            (k, v.replace(own, outer))
            for k, v in answer.getheaders()
            if k.lower() not in ("content-length", "transfer-encoding", "connection")
        ]
        self._answer(answer.status, kept, data)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _pass  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def emulated(folder: Path, backend: str = "filesystem") -> Iterator[Proxy]:
    """Start the emulator with its data in a folder; the variables of the environment are set by :func:`environment`.

    Args:
        backend: ``filesystem``, or ``memory``, which does not mend the names of objects.
    """
    own, outer = _free_port(), _free_port()
    address = f"127.0.0.1:{outer}"
    command = [
        *(str(TOOLS / "fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", str(own)),
        *("-backend", backend, "-filesystem-root", str(folder / "buckets"), "-log-level", "error"),
        *("-public-host", address, "-external-url", f"http://{address}"),
    ]
    proxy = Proxy(outer, own)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    with (folder / "emulator.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(own)
            thread.start()
            yield proxy
        finally:
            if thread.is_alive():
                proxy.shutdown()
            proxy.server_close()
            process.kill()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def environment(proxy: Proxy, cache: Path) -> dict[str, str]:
    """Return the variables by which Google's client, and so the command, finds the emulator."""
    return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{proxy.server_port}", "WINNOW_CACHE": str(cache)}


def upload(folder: Path, address: str) -> None:
    """Copy a folder's files below ``gs://bucket/prefix``, the bucket made if it is not there."""
    bucket, _, prefix = address.removeprefix("gs://").partition("/")
    client = storage.Client()
    if not client.bucket(bucket).exists():
        client.create_bucket(bucket)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = f"{prefix}/{path.relative_to(folder)}" if prefix else str(path.relative_to(folder))
            client.bucket(bucket).blob(name).upload_from_filename(str(path))


def moved(run: Path, folder: Path, **settings: object) -> Path:
    """Write a run file whose inputs, output and restricted root are on the object store, and upload the inputs."""
    facts = json.loads(run.read_text("utf-8"))
    top = Path(facts["input_root"])
    upload(top, "gs://in/crawl")
    facts["inputs"] = [f"gs://in/crawl/{Path(path).relative_to(top)}".removesuffix("/.") for path in facts["inputs"]]
    facts |= {
        "input_root": "gs://in/crawl",
        "output": "gs://out/corpus",
        "restricted": "gs://private/corpus",
    } | settings
    path = folder / f"cloud-{run.name}"
    path.write_text(json.dumps(facts), "utf-8")
    return path


def downloads(proxy: Proxy, prefix: str, start: int = 0) -> Counter[str]:
    """Return how often each object below a prefix was fetched, by its name, among what was passed on since a number of requests."""
    named = (
        re.search(r"/o/(.+?)\?", path) for method, path in proxy.seen[start:] if method == "GET" and "alt=media" in path
    )
    return Counter(found[1] for found in named if found and found[1].startswith(prefix))


def contents(root: str) -> dict[str, str]:
    """Return the SHA-256 of every file of the current release that must come out the same, as :func:`nights.contents` does."""
    release = Corpus(root).release()
    found = {}
    for path in sorted(file["path"] for file in release.manifest["files"]):
        if path.split("/")[0] in COMPARED:
            with release.fetched(path) as here:
                found[path] = hashlib.sha256(here.read_bytes()).hexdigest()
    return found


def generations(*buckets: str) -> dict[str, int]:
    """Return the generation of every object of buckets, but of leases and what is on its way."""
    client = storage.Client()
    return {
        f"gs://{bucket}/{blob.name}": blob.generation
        for bucket in buckets
        for blob in client.list_blobs(bucket)
        if os.path.basename(os.path.dirname(blob.name)) not in ("leases", "tmp")  # noqa: PTH119, PTH120
    }
