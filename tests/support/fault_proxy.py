"""A small HTTP proxy on loopback that breaks chosen requests in chosen ways."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class Fault(Enum):
    ERROR_500 = auto()
    REFUSED_401 = auto()
    TOO_MANY_429 = auto()
    LATE = auto()
    """The request is forwarded, the answer comes after the client has given up."""
    DROPPED = auto()
    """The request is forwarded, the connection ends without an answer."""
    TRUNCATED = auto()
    """The request is forwarded, half of the answer comes."""
    HALF_JSON = auto()
    """The same, but the length is that of the half."""
    HTML = auto()
    """A login page with status 200."""
    OTHER_JSON = auto()
    """JSON that is no answer to the question."""


FORWARDED = (Fault.LATE, Fault.DROPPED, Fault.TRUNCATED, Fault.HALF_JSON)
LATE_SECONDS = 6.0
Matches = Callable[[str, str], bool]


def imports(method: str, path: str) -> bool:
    return method == "POST" and path.split("?")[0].endswith("/import")


def everything(method: str, path: str) -> bool:
    return True


@dataclass
class Proxy:
    url: str
    upstream: str
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once a broken request has reached the server, or would have."""
    seen: list[str] = field(default_factory=list)
    _fault: Fault | None = None
    _matches: Matches = everything
    _left: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def break_next(self, fault: Fault, matches: Matches = everything, times: int = 1) -> None:
        self._fault, self._matches, self._left = fault, matches, times

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.seen.append(f"{method} {path}")
            if self._left <= 0 or not self._matches(method, path):
                return None
            self._left -= 1
            return self._fault


@contextmanager
def fault_proxy(upstream: str) -> Iterator[Proxy]:
    with httpx.Client(base_url=upstream, timeout=60, trust_env=False) as client:
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}", upstream)
        server.RequestHandlerClass = _handler(proxy, client)
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(proxy: Proxy, client: httpx.Client) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *args: object) -> None:
            pass

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = proxy.fault_for(self.command, self.path)
            if fault is None or fault in FORWARDED:
                answer = self.forward(body)
                content, status = answer.content, answer.status_code
            else:
                content, status = _INSTEAD[fault]
            if fault is not None:
                proxy.reached.set()
            if fault is Fault.LATE:
                time.sleep(LATE_SECONDS)
            if fault is not Fault.DROPPED:
                self.answer(status, content, fault)

        def forward(self, body: bytes) -> httpx.Response:
            passed = {k: v for k, v in self.headers.items() if k.lower() in ("authorization", "content-type")}
            return client.request(self.command, self.path, content=body, headers=passed)

        def answer(self, status: int, content: bytes, fault: Fault | None) -> None:
            half = content[: len(content) // 2]
            try:
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if fault is Fault.HTML else "application/json")
                self.send_header("Set-Cookie", "sessionid=secret-session")
                self.send_header("Content-Length", str(len(half if fault is Fault.HALF_JSON else content)))
                self.end_headers()
                self.wfile.write(half if fault in (Fault.TRUNCATED, Fault.HALF_JSON) else content)
            except OSError:
                pass  # the client has given up, as it should

        do_GET = do_POST = do_PATCH = do_DELETE = serve

    return Handler


_INSTEAD = {
    Fault.ERROR_500: (b'{"detail": "secret-detail"}', 500),
    Fault.REFUSED_401: (b'{"detail": "Invalid token."}', 401),
    Fault.TOO_MANY_429: (b'{"detail": "slow down"}', 429),
    Fault.HTML: (b"<html><body>log in</body></html>", 200),
    Fault.OTHER_JSON: (b'{"weather": "fine"}', 200),
}
