"""A model of the part of Label Studio that annotate and its raters use, in this process and without a disk.

It answers over HTTP, so that the product's own client is what talks to it. What it does is checked against
a real server by `tests/journeys/test_histories.py`; a request that it does not know is an error, not a guess.
"""

import copy
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Row = dict[str, Any]
OWNER = "owner@example.org"
OWNER_TOKEN = "owner-token"
LISTED = {"id", "data", "total_annotations", "cancelled_annotations", "annotations_ids", "updated_at"}
"""Columns of a task that `include` may name."""


class Refused(Exception):
    """An answer with this status and body."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass
class Tables:
    """Everything that a backup of the server holds."""

    users: dict[int, Row] = field(default_factory=dict)
    projects: dict[int, Row] = field(default_factory=dict)
    storages: dict[int, Row] = field(default_factory=dict)
    tasks: dict[int, Row] = field(default_factory=dict)
    annotations: dict[int, Row] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    """The last number given out per table; one that was deleted is not given out again."""


@dataclass
class StudioModel:
    """The server: its tables, and a clock that can be wrong."""

    tables: Tables = field(default_factory=Tables)
    clock_offset: float = 0.0
    unknown: list[str] = field(default_factory=list)
    """Requests that the model does not know."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.add_user(OWNER, OWNER_TOKEN)

    def backup(self) -> Tables:
        with self._lock:
            return copy.deepcopy(self.tables)

    def restore(self, backup: Tables) -> None:
        with self._lock:
            self.tables = copy.deepcopy(backup)

    def add_user(self, email: str, token: str) -> int:
        return self._add("users", {"email": email, "token": token, "username": email.partition("@")[0]})

    def request(self, method: str, target: str, token: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of one request."""
        parts = urlsplit(target)
        with self._lock:
            user = next((u for u in self.tables.users.values() if u["token"] == token), None)
            if user is None:
                return 401, {"detail": "Invalid token."}
            try:
                for known, pattern, handler in _ROUTES:
                    if known == method and (fits := re.fullmatch(pattern, parts.path)):
                        numbers = [int(number) for number in fits.groups()]
                        asked = Request(self, user, dict(parse_qsl(parts.query)), body or {})
                        return handler(asked, *numbers)
                raise Refused(501, f"the model does not know {method} {parts.path}")
            except Refused as refused:
                if refused.status == 501:
                    self.unknown.append(str(refused))
                return refused.status, {"detail": str(refused)}

    def now(self) -> str:
        at = datetime.fromtimestamp(time.time() + self.clock_offset, UTC)
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _add(self, table: str, row: Row) -> int:
        self.tables.numbers[table] += 1
        number = self.tables.numbers[table]
        getattr(self.tables, table)[number] = {"id": number, **row}
        return number


@dataclass(frozen=True)
class Request:
    model: StudioModel
    user: Row
    query: Mapping[str, str]
    body: Any

    @property
    def tables(self) -> Tables:
        return self.model.tables

    def add(self, table: str, **row: Any) -> Row:
        number = self.model._add(table, row)
        return getattr(self.tables, table)[number]

    def get(self, table: str, number: int) -> Row:
        try:
            return getattr(self.tables, table)[number]
        except KeyError:
            raise Refused(404, f"no {table} {number}") from None

    def touch(self, task_id: int, user_id: int | None) -> None:
        """An annotation of the task was made, changed or deleted."""
        task = self.tables.tasks[task_id]
        task["updated_at"], task["updated_by"] = self.model.now(), user_id


Answer = tuple[int, Any]


def _whoami(asked: Request) -> Answer:
    return 200, {"id": asked.user["id"], "email": asked.user["email"]}


def _list_users(asked: Request) -> Answer:
    return 200, [_without(user, "token") for user in asked.tables.users.values()]


def _delete_user(asked: Request, number: int) -> Answer:
    """What the user did stays, and belongs to nobody; no task counts as changed."""
    asked.get("users", number)
    del asked.tables.users[number]
    for annotation in asked.tables.annotations.values():
        for column in ("completed_by", "updated_by"):
            if annotation[column] == number:
                annotation[column] = None
    return 204, None


def _list_projects(asked: Request) -> Answer:
    page, size = int(asked.query.get("page", 1)), int(asked.query.get("page_size", 30))
    rows = sorted(asked.tables.projects.values(), key=lambda row: -row["id"])
    shown = [_project(asked, row) for row in rows[(page - 1) * size : page * size]]
    more = f"?page={page + 1}" if page * size < len(rows) else None
    return 200, {"count": len(rows), "next": more, "previous": None, "results": shown}


def _create_project(asked: Request) -> Answer:
    body = {"model_version": "", "maximum_annotations": 1, "description": "", **asked.body}
    row = asked.add("projects", created_at=asked.model.now(), **body)
    return 201, _project(asked, row)


def _read_project(asked: Request, number: int) -> Answer:
    return 200, _project(asked, asked.get("projects", number))


def _change_project(asked: Request, number: int) -> Answer:
    row = asked.get("projects", number)
    row |= {name: value for name, value in asked.body.items() if name not in ("id", "created_at")}
    return 200, _project(asked, row)


def _project(asked: Request, row: Row) -> Row:
    tasks = [task for task in asked.tables.tasks.values() if task["project"] == row["id"]]
    counts = [_counts(asked, task["id"]) for task in tasks]
    return {
        **row, "task_number": len(tasks),
        "total_annotations_number": sum(given for given, _ in counts),
        "skipped_annotations_number": sum(skipped for _, skipped in counts),
    }  # fmt: skip


def _list_storages(asked: Request) -> Answer:
    rows = asked.tables.storages.values()
    return 200, [row for row in rows if row["project"] == int(asked.query["project"])]


def _create_storage(asked: Request) -> Answer:
    return 201, asked.add("storages", **asked.body)


def _import(asked: Request, project_id: int) -> Answer:
    project = asked.get("projects", project_id)
    at = asked.model.now()
    made = []
    for task in asked.body:
        predictions = task.get("predictions") or []
        if predictions and not project["model_version"]:
            project["model_version"] = predictions[-1]["model_version"]
        made.append(
            asked.add(
                "tasks", project=project_id, data=dict(task["data"]), predictions=predictions,
                overlap=project["maximum_annotations"], created_at=at, updated_at=asked.model.now(),
                updated_by=None,
            )["id"]
        )  # fmt: skip
    return 201, {"task_count": len(made), "task_ids": made}


def _list_tasks(asked: Request) -> Answer:
    query = json.loads(asked.query.get("query", "{}"))
    if query.get("ordering", ["tasks:id"]) != ["tasks:id"]:
        raise Refused(501, f"the model does not order by {query['ordering']}")
    conditions = query.get("filters", {"conjunction": "and", "items": []})
    if conditions["conjunction"] != "and":
        raise Refused(501, f"the model does not combine filters by {conditions['conjunction']}")
    rows = [task for task in asked.tables.tasks.values() if task["project"] == int(asked.query["project"])]
    for condition in conditions["items"]:
        rows = [task for task in rows if _fits(task, condition)]
    page, size = int(asked.query.get("page", 1)), int(asked.query.get("page_size", 100))
    shown = [_task(asked, row) for row in sorted(rows, key=lambda row: row["id"])]
    return 200, {
        "total": len(rows),
        "total_annotations": sum(row["total_annotations"] for row in shown),
        "tasks": [_columns(asked, row) for row in shown[(page - 1) * size : page * size]],
    }


def _fits(task: Row, condition: Mapping[str, Any]) -> bool:
    column, operator, value = condition["filter"], condition["operator"], condition["value"]
    if column == "filter:tasks:id":
        held: Any = task["id"]
    elif column == "filter:tasks:updated_at":
        held, value = _time(task["updated_at"]), _time(value)
    elif column.startswith("filter:tasks:data."):
        held = task["data"].get(column.removeprefix("filter:tasks:data."))
    else:
        raise Refused(501, f"the model does not filter by {column}")
    if operator in ("in_list", "equal"):
        return held in value if operator == "in_list" else held == value
    if operator == "greater":
        return bool(held > value)
    raise Refused(501, f"the model does not know the operator {operator}")


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def _columns(asked: Request, task: Row) -> Row:
    if asked.query.get("fields") == "all":
        return task
    wanted = set(asked.query.get("include", "id").split(","))
    if not wanted <= LISTED:
        raise Refused(501, f"the model does not list {', '.join(sorted(wanted - LISTED))}")
    computed = (
        task
        if "hiddenColumns" in json.loads(asked.query.get("query", "{}"))
        else {**task, "annotations_ids": ""}
    )
    return {name: computed[name] for name in computed if name in wanted}


def _task(asked: Request, task: Row) -> Row:
    annotations = _annotations(asked, task["id"])
    given, skipped = _counts(asked, task["id"])
    changed_by = [] if task["updated_by"] is None else [{"user_id": task["updated_by"]}]
    return {
        **task, "annotations": annotations, "drafts": [], "updated_by": changed_by,
        "total_annotations": given, "cancelled_annotations": skipped,
        "annotations_ids": ",".join(str(annotation["id"]) for annotation in annotations),
    }  # fmt: skip


def _annotations(asked: Request, task_id: int) -> list[Row]:
    return [row for row in asked.tables.annotations.values() if row["task"] == task_id]


def _counts(asked: Request, task_id: int) -> tuple[int, int]:
    """Answers and skips."""
    skips = [row["was_cancelled"] for row in _annotations(asked, task_id)]
    return len(skips) - sum(skips), sum(skips)


def _change_task(asked: Request, number: int) -> Answer:
    """Whether it `is_labeled` follows from its `overlap` and its answers, so it is not kept."""
    task = asked.get("tasks", number)
    if not set(asked.body) <= {"data", "overlap", "is_labeled"}:
        raise Refused(501, f"the model does not change {sorted(asked.body)} of a task")
    task |= {**_without(asked.body, "is_labeled"), "updated_at": asked.model.now()}
    return 200, task


def _delete_task(asked: Request, number: int) -> Answer:
    asked.get("tasks", number)
    del asked.tables.tasks[number]
    for annotation in _annotations(asked, number):
        del asked.tables.annotations[annotation["id"]]
    return 204, None


def _annotate(asked: Request, task_id: int) -> Answer:
    task, user = asked.get("tasks", task_id), asked.user["id"]
    at = asked.model.now()
    row = asked.add(
        "annotations", task=task_id, project=task["project"], completed_by=user, updated_by=user,
        result=asked.body["result"], was_cancelled=bool(asked.body.get("was_cancelled", False)),
        lead_time=asked.body.get("lead_time"), created_at=at, updated_at=at,
    )  # fmt: skip
    asked.touch(task_id, user)
    return 201, row


def _read_annotation(asked: Request, number: int) -> Answer:
    return 200, asked.get("annotations", number)


def _edit(asked: Request, number: int) -> Answer:
    row = asked.get("annotations", number)
    if not set(asked.body) <= {"result", "lead_time", "was_cancelled"}:
        raise Refused(501, f"the model does not change {sorted(asked.body)} of an annotation")
    row |= {**asked.body, "updated_by": asked.user["id"], "updated_at": asked.model.now()}
    asked.touch(row["task"], asked.user["id"])
    return 200, row


def _delete_annotation(asked: Request, number: int) -> Answer:
    row = asked.get("annotations", number)
    del asked.tables.annotations[number]
    asked.touch(row["task"], asked.user["id"])
    return 204, None


def _without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/api/current-user/whoami/?", _whoami),
    ("GET", r"/api/users/", _list_users),
    ("DELETE", r"/api/users/(\d+)/", _delete_user),
    ("GET", r"/api/projects/", _list_projects),
    ("POST", r"/api/projects/", _create_project),
    ("GET", r"/api/projects/(\d+)/", _read_project),
    ("PATCH", r"/api/projects/(\d+)/", _change_project),
    ("POST", r"/api/projects/(\d+)/import", _import),
    ("GET", r"/api/storages/localfiles/", _list_storages),
    ("POST", r"/api/storages/localfiles/", _create_storage),
    ("GET", r"/api/tasks/", _list_tasks),
    ("PATCH", r"/api/tasks/(\d+)/", _change_task),
    ("DELETE", r"/api/tasks/(\d+)/", _delete_task),
    ("POST", r"/api/tasks/(\d+)/annotations/", _annotate),
    ("GET", r"/api/annotations/(\d+)/", _read_annotation),
    ("PATCH", r"/api/annotations/(\d+)/", _edit),
    ("DELETE", r"/api/annotations/(\d+)/", _delete_annotation),
]


@contextmanager
def serving(model: StudioModel) -> Iterator[str]:
    """The address at which the model answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(model))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(model: StudioModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def date_time_string(self, timestamp: float | None = None) -> str:
            """The clock of the server shows in every answer."""
            return formatdate(time.time() + model.clock_offset, usegmt=True)

        def serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Token ")
            status, content = model.request(
                self.command, self.path, token, json.loads(sent) if sent else None
            )
            body = b"" if content is None else json.dumps(content).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # whoever asked was killed

        do_GET = do_POST = do_PATCH = do_DELETE = serve

    return Handler
