"""Client for the calls of Label Studio's API that annotate needs; every error has a hint."""

import json
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Self, TypeVar

import httpx

from annotate.errors import LabelStudioError
from annotate.labelstudio.access import authorization, is_loopback
from annotate.labelstudio.payloads import (
    ANSWER_NUMBERS,
    ListedTask,
    StudioProject,
    listed_task,
    marked_on_page,
    studio_project,
    whole_task,
)
from annotate.wording import counted

MODEL_VERSION = "annotate"
"""One version for the scores of all batches, because only those of the project's version order its queue."""
LOOKUP_KEYS = 200
"""Keys per request; with more, a web server in front of Label Studio may refuse the long URL."""
PAGE = 500
LISTED_PAGE = 2_000
LISTED = "id,data,updated_at,total_annotations,cancelled_annotations"
COLUMNS_TO_HIDE = [
    "tasks:annotations_results", "tasks:annotators", "tasks:avg_lead_time", "tasks:completed_at",
    "tasks:draft_exists", "tasks:file_upload", "tasks:predictions_model_versions",
    "tasks:predictions_results", "tasks:predictions_score", "tasks:state", "tasks:storage_filename",
]  # fmt: skip
"""Label Studio computes the numbers of a task's answers only if a request names columns to hide; it would
then compute every other column that is not stored, too."""
ACCESS_SECONDS = 240
"""How long an access token is used; one made from a personal access token is valid for five minutes."""
REQUIRED = object()

T = TypeVar("T")


class UnsureOutcome(LabelStudioError):
    """The connection broke or the server failed, so it is unknown whether the request had an effect."""


class LabelStudioClient:
    """Client of one server with one token, legacy or personal (a JWT).

    Every method raises `LabelStudioError`, or `UnsureOutcome` when the call may have had an effect.
    """

    def __init__(self, base_url: str, token: str, timeout: float = 60.0) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self._token = token
        self._header: tuple[float, Mapping[str, str]] = (-ACCESS_SECONDS, {})
        # A proxy set in the environment cannot reach this machine's loopback interface.
        self._http = httpx.Client(timeout=timeout, follow_redirects=True, trust_env=not is_loopback(base_url))
        self._closing = weakref.finalize(self, self._http.close)

    def __repr__(self) -> str:
        return f"LabelStudioClient({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; this also happens when the client is garbage-collected."""
        self._closing()

    def project(self, project_id: int) -> StudioProject | None:
        """The project with this number, or None."""
        return self._get(f"/api/projects/{project_id}/", "reading a project", studio_project, absent=None)

    def marked_project(self, marker: str) -> StudioProject | None:
        """The oldest project whose description contains `marker`, or None."""
        return next(iter(self.marked_projects(marker)), None)

    def marked_projects(self, marker: str) -> list[StudioProject]:
        """The projects whose descriptions contain `marker`, oldest first."""
        projects: list[StudioProject] = []
        page: int | None = 1
        while page:
            listed, more = self._get(
                "/api/projects/", "listing projects", lambda listing: marked_on_page(listing, marker),
                page=page, page_size=100,
            )  # fmt: skip
            projects += listed
            page = page + 1 if more else None
        return sorted(projects, key=lambda project: project.id)

    def create_project(self, title: str, marker: str, label_config: str, raters: int) -> StudioProject:
        """Create a project that asks `raters` people per question by score, and shows no predictions."""
        with self._explaining("creating a project"):
            made = self._sdk.projects.create(
                title=title, description=marker, label_config=label_config, maximum_annotations=raters,
                sampling="Uncertainty sampling", show_collab_predictions=False,
                enable_empty_annotation=False, show_skip_button=True, request_options=self._once(),
            )  # fmt: skip
            project_id = int(made.id)
        project = self.project(project_id)
        if project is None:
            raise UnsureOutcome(
                f"{self.base_url} lost the project it just created", hint="run the same command again"
            )
        return project

    def change_page(self, project_id: int, label_config: str) -> None:
        """Change the page that raters see; the server refuses one that contradicts earlier answers."""
        with self._explaining("changing the page that raters see"):
            self._sdk.projects.update(id=project_id, label_config=label_config, request_options=self._once())

    def change_raters(self, project_id: int, raters: int) -> None:
        """Ask this many people every question of the project, including answered ones."""
        with self._explaining("changing how many people are asked"):
            self._sdk.projects.update(id=project_id, maximum_annotations=raters, request_options=self._once())

    def set_model_version(self, project_id: int) -> None:
        """Let the scores of `MODEL_VERSION` order the queue, lowest first."""
        with self._explaining("ordering the queue"):
            self._sdk.projects.update(
                id=project_id, model_version=MODEL_VERSION, request_options=self._once()
            )

    def serve_folder(self, project_id: int, path: str) -> None:
        """Let raters of the project load the files below `path`, a folder on the server's machine."""
        known = self._get(
            "/api/storages/localfiles/", "listing media folders",
            lambda storages: {storage["path"] for storage in storages},
            project=project_id,
        )  # fmt: skip
        if path in known:
            return
        with self._explaining(f"serving the folder {path}"):
            self._sdk.import_storage.local.create(
                project=project_id, path=path, title="clips", request_options=self._once()
            )

    def import_tasks(self, project_id: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create tasks in one request, at most 1000; returns their numbers in the same order."""
        with self._explaining("sending questions"):
            done = self._sdk.projects.import_tasks(
                id=project_id,
                request=[dict(t) for t in tasks],
                return_task_ids=True,
                request_options=self._once(),
            )
            ids = [int(i) for i in done.task_ids]
        if len(ids) != len(tasks):
            raise UnsureOutcome(
                f"{self.base_url} accepted {len(ids)} of {counted(len(tasks), 'question')}",
                hint="run the same command again",
            )
        return ids

    def delete_task(self, task_id: int) -> None:
        """Delete a task with its answers."""
        with self._explaining("deleting a duplicate question"):
            self._sdk.tasks.delete(id=str(task_id), request_options=self._once())

    def take_from_queue(self, task_id: int) -> bool:
        """Remove a task from the queue of raters; returns False if the task does not exist.

        Nothing is deleted. A later change of the project's `raters` may put the task into the queue again.
        """
        with self._explaining("withdrawing a question"):
            answer = self._http.patch(
                f"{self.base_url}/api/tasks/{task_id}/", headers=self._authorization(),
                json={"overlap": 0, "is_labeled": True},
            )  # fmt: skip
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return False
            if not answer.is_success:
                raise self._refusal(answer.status_code, answer.text, "withdrawing a question")
        return True

    def find_by_keys(self, project_id: int, keys: Sequence[str]) -> dict[str, list[ListedTask]]:
        """Tasks by the key in their data, oldest first; unknown keys are absent."""
        tasks_by_key: dict[str, list[ListedTask]] = {}
        for start in range(0, len(keys), LOOKUP_KEYS):
            wanted = list(keys[start : start + LOOKUP_KEYS])
            condition = _condition("data.key", "in_list", "List", wanted)
            for page in self._pages(
                project_id, (condition,), listed_task, LISTED_PAGE, fields="task_only", include=LISTED
            ):
                for task in page:
                    tasks_by_key.setdefault(task.key, []).append(task)
        return tasks_by_key

    def tasks(self, project_id: int) -> list[ListedTask]:
        """Every task of a project, ordered by number."""
        hidden = {"explore": COLUMNS_TO_HIDE, "labeling": COLUMNS_TO_HIDE}
        pages = self._pages(
            project_id, (), listed_task, LISTED_PAGE, {"hiddenColumns": hidden},
            fields="task_only", include=f"{LISTED},{ANSWER_NUMBERS}",
        )  # fmt: skip
        return [task for page in pages for task in page]

    def whole_tasks(self, project_id: int, task_ids: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
        """Pages of these tasks with all annotations; tasks that do not exist are left out."""
        for start in range(0, len(task_ids), LOOKUP_KEYS):
            wanted = list(task_ids[start : start + LOOKUP_KEYS])
            condition = _condition("id", "in_list", "List", wanted)
            yield from self._pages(project_id, (condition,), whole_task, fields="all")

    def emails(self) -> dict[int, str]:
        """E-mail addresses of all users, by number."""
        return self._get(
            "/api/users/", "listing raters",
            lambda users: {int(user["id"]): str(user["email"]) for user in users if user.get("email")},
        )  # fmt: skip

    def _pages(
        self,
        project_id: int,
        conditions: Collection[Mapping[str, Any]],
        shape: Callable[[dict[str, Any]], T],
        size: int = PAGE,
        view: Mapping[str, Any] = MappingProxyType({}),
        **more: str,
    ) -> Iterator[list[T]]:
        """Pages of tasks, requested by the last number instead of the page, because pages shift meanwhile."""
        last = 0
        while True:
            items = [_condition("id", "greater", "Number", last), *conditions]
            query = {
                "filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"], **view
            }  # fmt: skip
            asked = {"project": project_id, "page": 1, "page_size": size, "query": json.dumps(query), **more}
            numbers, tasks = self._get(
                "/api/tasks/", "reading questions",
                lambda page: ([int(t["id"]) for t in page["tasks"]], [shape(t) for t in page["tasks"]]),
                **asked,
            )  # fmt: skip
            if tasks:
                last = numbers[-1]
                yield tasks
            if len(tasks) < size:
                return

    def _get(
        self, path: str, what: str, shape: Callable[[Any], T], *, absent: Any = REQUIRED, **query: Any
    ) -> T:
        """The answer, converted by `shape`; if `absent` is given, it is returned for status 404."""
        with self._explaining(what):
            answer = self._http.get(self.base_url + path, params=query, headers=self._authorization())
            if answer.status_code == HTTPStatus.NOT_FOUND and absent is not REQUIRED:
                return absent
            if not answer.is_success:
                raise self._refusal(answer.status_code, answer.text, what)
            return shape(answer.json())

    def _authorization(self) -> Mapping[str, str]:
        made, header = self._header
        if time.monotonic() - made >= ACCESS_SECONDS:
            header = authorization(self.base_url, self._token, self.timeout)
            self._header = (time.monotonic(), header)
        return header

    def _once(self) -> Any:
        """Request options without retries, because an import that is sent twice creates its tasks twice."""
        return {"max_retries": 0, "additional_headers": dict(self._authorization())}

    @cached_property
    def _sdk(self) -> Any:
        """The SDK's client, untyped because its types lack the task numbers that `import_tasks` returns."""
        from label_studio_sdk import client

        make: Any = client.LabelStudio
        return make(
            base_url=self.base_url, timeout=self.timeout, max_retries=0, httpx_client=self._http,
            api_key="given with each request, see _once",
        )  # fmt: skip

    @contextmanager
    def _explaining(self, what: str) -> Iterator[None]:
        """Turn errors into `LabelStudioError`. The SDK's own messages would show the session's cookie."""
        from label_studio_sdk.core.api_error import ApiError

        try:
            yield
        except ApiError as error:
            raise self._refusal(error.status_code or 0, error.body, what) from None
        except httpx.TimeoutException:
            raise UnsureOutcome(
                f"{self.base_url} did not answer within {self.timeout:g} s while {what}",
                hint="run this again, or raise labelstudio.timeout_seconds; nothing is sent twice",
            ) from None
        except httpx.ConnectError:
            local = "annotate studio up" if is_loopback(self.base_url) else "check labelstudio.url"
            raise LabelStudioError(f"no Label Studio answers at {self.base_url}", hint=local) from None
        except httpx.HTTPError as error:
            raise UnsureOutcome(
                f"{self.base_url} closed the connection while {what} ({type(error).__name__})",
                hint="run the same command again; nothing is sent twice",
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnsureOutcome(
                f"{self.base_url} gave an unexpected answer while {what} ({type(error).__name__})",
                hint="check that it is a Label Studio and not a login page or proxy, then run this again",
            ) from None

    def _refusal(self, status: int, body: Any, what: str) -> LabelStudioError:
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return LabelStudioError(
                f"{self.base_url} refuses the token ({status}) while {what}",
                hint="set ANNOTATE_LABELSTUDIO__TOKEN to one from Account & Settings > Access Token there",
            )
        temporary = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in temporary:
            return UnsureOutcome(
                f"{self.base_url} failed ({status}) while {what}",
                hint="look at its log, then run the same command again; nothing is sent twice",
            )
        if status < HTTPStatus.BAD_REQUEST:
            return UnsureOutcome(
                f"{self.base_url} gave an unexpected answer ({status}) while {what}",
                hint="check that it is a Label Studio and not a login page or proxy, then run this again",
            )
        text = body if isinstance(body, str) else json.dumps(body, default=str)
        shown = "a web page" if "<html" in text.lower() else text[:300]
        return LabelStudioError(
            f"{self.base_url} refuses ({status}) while {what}: {shown}", hint="see `annotate doctor`"
        )


def _condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}
