"""An S3 server on loopback in a process of its own, which can be told to drop connections."""

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class ObjectStore:
    """The running server."""

    url: str
    process: subprocess.Popen[str]

    def tell(self, **command: Any) -> Any:
        """``refuse_after=N``: N more uploads are taken, then every connection is dropped; None: serve again.

        ``requests=True``: what was asked since the last time, as "METHOD /path?query".
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of its own."""

    name: str
    store: ObjectStore
    fs: Any

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def names(self) -> list[str]:
        self.fs.invalidate_cache()
        return sorted(path.removeprefix(f"{self.name}/") for path in self.fs.find(self.name))

    def put(self, name: str, content: bytes) -> str:
        self.fs.pipe_file(f"{self.name}/{name}", content)
        return f"{self.url}/{name}"

    def get(self, name: str) -> bytes:
        content = self.fs.cat_file(f"{self.name}/{name}")
        assert isinstance(content, bytes)
        return content

    def delete(self, name: str) -> None:
        self.fs.rm_file(f"{self.name}/{name}")


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield ObjectStore(process.stdout.readline().strip(), process)
        finally:
            process.terminate()


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    import fsspec

    for name, value in (
        ("AWS_ENDPOINT_URL", object_store.url),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_MAX_ATTEMPTS", "2"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)
    fs = fsspec.filesystem("s3")
    name = f"b{uuid.uuid4().hex[:12]}"
    fs.mkdir(name)
    yield Bucket(name, object_store, fs)
    object_store.tell(refuse_after=None)


class _Gate:
    """Lets requests through to the application, or not."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.left: int | None = None
        self.seen: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        self.seen.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query}")
        if self.left is not None:
            self.left -= environ["REQUEST_METHOD"] == "PUT"
            if self.left < 0:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
        return self.app(environ, start_response)


def _serve() -> None:
    import logging
    import threading

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.disable(logging.CRITICAL)
    gate = _Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.port}", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "refuse_after" in command:
            gate.left = command["refuse_after"]
        seen, gate.seen = gate.seen, [] if command.get("requests") else gate.seen
        print(json.dumps(seen if command.get("requests") else None), flush=True)


if __name__ == "__main__":
    _serve()
