"""The few calls of Label Studio's API that the loop needs, each failure told with the way out."""

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
"""One version for the scores of every batch: only scores of the project's version order its queue."""
LOOKUP_KEYS = 200
"""More would make an address that a web server before Label Studio may refuse."""
PAGE = 500
LISTED_PAGE = 2_000
LISTED = "id,data,updated_at,total_annotations,cancelled_annotations"
COLUMNS_TO_HIDE = [
    "tasks:annotations_results", "tasks:annotators", "tasks:avg_lead_time", "tasks:completed_at",
    "tasks:draft_exists", "tasks:file_upload", "tasks:predictions_model_versions",
    "tasks:predictions_results", "tasks:predictions_score", "tasks:state", "tasks:storage_filename",
]  # fmt: skip
"""Label Studio computes the numbers of a task's answers only for who names columns to hide, and then computes
every other column that is not stored."""
ACCESS_SECONDS = 240
"""A personal access token opens the door for five minutes at a time."""
MUST_BE_THERE = object()

T = TypeVar("T")


class UnsureOutcome(LabelStudioError):
    """The server broke off or stumbled: what was asked for may have been done or not."""


class LabelStudioClient:
    """Speaks to one server with one token, legacy or personal (a JWT).

    Every method raises `LabelStudioError`; `UnsureOutcome` when the call may have had its effect.
    """

    def __init__(self, base_url: str, token: str, timeout: float = 60.0) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self._token = token
        self._header: tuple[float, Mapping[str, str]] = (-ACCESS_SECONDS, {})
        # A proxy of the environment cannot reach this machine's loopback.
        self._http = httpx.Client(timeout=timeout, follow_redirects=True, trust_env=not is_loopback(base_url))
        self._closing = weakref.finalize(self, self._http.close)

    def __repr__(self) -> str:
        return f"LabelStudioClient({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; it happens by itself when nobody holds the client any more."""
        self._closing()

    def project(self, project_id: int) -> StudioProject | None:
        """The project with this number, or None when there is none."""
        return self._get(f"/api/projects/{project_id}/", "reading a project", studio_project, absent=None)

    def marked_project(self, marker: str) -> StudioProject | None:
        """The oldest project whose description holds `marker`, or None."""
        return next(iter(self.marked_projects(marker)), None)

    def marked_projects(self, marker: str) -> list[StudioProject]:
        """The projects whose descriptions hold `marker`, the oldest first."""
        found: list[StudioProject] = []
        page: int | None = 1
        while page:
            listed, more = self._get(
                "/api/projects/", "listing projects", lambda listing: marked_on_page(listing, marker),
                page=page, page_size=100,
            )  # fmt: skip
            found += listed
            page = page + 1 if more else None
        return sorted(found, key=lambda project: project.id)

    def create_project(self, title: str, marker: str, label_config: str, raters: int) -> StudioProject:
        """A project that asks `raters` people each, most wanted question first, and shows no guess."""
        with self._telling("making a project"):
            made = self._sdk.projects.create(
                title=title, description=marker, label_config=label_config, maximum_annotations=raters,
                sampling="Uncertainty sampling", show_collab_predictions=False,
                enable_empty_annotation=False, show_skip_button=True, request_options=self._once(),
            )  # fmt: skip
            project_id = int(made.id)
        found = self.project(project_id)
        if found is None:
            raise UnsureOutcome(
                f"{self.base_url} lost the project it just made", hint="run the same command again"
            )
        return found

    def change_page(self, project_id: int, label_config: str) -> None:
        """Show raters another page; the server refuses one that earlier answers do not fit."""
        with self._telling("changing the page that raters see"):
            self._sdk.projects.update(id=project_id, label_config=label_config, request_options=self._once())

    def change_raters(self, project_id: int, raters: int) -> None:
        """Put every question of the project, answered ones too, to this many people."""
        with self._telling("changing how many people are asked"):
            self._sdk.projects.update(id=project_id, maximum_annotations=raters, request_options=self._once())

    def set_model_version(self, project_id: int) -> None:
        """Let the scores of `MODEL_VERSION` order the queue, lowest first."""
        with self._telling("ordering the queue"):
            self._sdk.projects.update(
                id=project_id, model_version=MODEL_VERSION, request_options=self._once()
            )

    def serve_folder(self, project_id: int, path: str) -> None:
        """Let raters of the project load the files below `path`, a folder on the server's machine."""
        known = self._get(
            "/api/storages/localfiles/", "listing media folders", lambda found: {s["path"] for s in found},
            project=project_id,
        )  # fmt: skip
        if path in known:
            return
        with self._telling(f"serving the folder {path}"):
            self._sdk.import_storage.local.create(
                project=project_id, path=path, title="clips", request_options=self._once()
            )

    def import_tasks(self, project_id: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Make tasks in one request, at most 1000 at a time. Returns their numbers in the same order."""
        with self._telling("sending questions"):
            done = self._sdk.projects.import_tasks(
                id=project_id,
                request=[dict(t) for t in tasks],
                return_task_ids=True,
                request_options=self._once(),
            )
            ids = [int(i) for i in done.task_ids]
        if len(ids) != len(tasks):
            raise UnsureOutcome(
                f"{self.base_url} took {len(ids)} of {counted(len(tasks), 'question')}",
                hint="run the same command again",
            )
        return ids

    def delete_task(self, task_id: int) -> None:
        """Take one task away, and what was answered to it."""
        with self._telling("taking a doubled question away"):
            self._sdk.tasks.delete(id=str(task_id), request_options=self._once())

    def take_from_queue(self, task_id: int) -> bool:
        """Have nobody asked about a task any more, whatever is answered to it later; False where it is gone.

        Nothing is deleted. A later change of the project's `raters` may put the task into the queue again.
        """
        with self._telling("withdrawing a question"):
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
        """Tasks by the key in their data, oldest first; keys that are not there are left out."""
        found: dict[str, list[ListedTask]] = {}
        for start in range(0, len(keys), LOOKUP_KEYS):
            wanted = list(keys[start : start + LOOKUP_KEYS])
            condition = _condition("data.key", "in_list", "List", wanted)
            for page in self._pages(
                project_id, (condition,), listed_task, LISTED_PAGE, fields="task_only", include=LISTED
            ):
                for task in page:
                    found.setdefault(task.key, []).append(task)
        return found

    def tasks(self, project_id: int) -> list[ListedTask]:
        """Every task of a project, by rising number."""
        hidden = {"explore": COLUMNS_TO_HIDE, "labeling": COLUMNS_TO_HIDE}
        pages = self._pages(
            project_id, (), listed_task, LISTED_PAGE, {"hiddenColumns": hidden},
            fields="task_only", include=f"{LISTED},{ANSWER_NUMBERS}",
        )  # fmt: skip
        return [task for page in pages for task in page]

    def whole_tasks(self, project_id: int, task_ids: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
        """Pages of these tasks, whole, with every annotation; those that are gone are left out."""
        for start in range(0, len(task_ids), LOOKUP_KEYS):
            wanted = list(task_ids[start : start + LOOKUP_KEYS])
            condition = _condition("id", "in_list", "List", wanted)
            yield from self._pages(project_id, (condition,), whole_task, fields="all")

    def emails(self) -> dict[int, str]:
        """E-mail address of every user, by number."""
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
        """By the last number seen, not by page: pages shift while people work."""
        last = 0
        while True:
            items = [_condition("id", "greater", "Number", last), *conditions]
            query = {
                "filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"], **view
            }  # fmt: skip
            asked = {"project": project_id, "page": 1, "page_size": size, "query": json.dumps(query), **more}
            numbers, tasks = self._get(
                "/api/tasks/", "reading questions",
                lambda found: ([int(t["id"]) for t in found["tasks"]], [shape(t) for t in found["tasks"]]),
                **asked,
            )  # fmt: skip
            if tasks:
                last = numbers[-1]
                yield tasks
            if len(tasks) < size:
                return

    def _get(
        self, path: str, what: str, shape: Callable[[Any], T], *, absent: Any = MUST_BE_THERE, **query: Any
    ) -> T:
        """What `shape` makes of the answer; `absent`, when given, stands for what does not exist."""
        with self._telling(what):
            answer = self._http.get(self.base_url + path, params=query, headers=self._authorization())
            if answer.status_code == HTTPStatus.NOT_FOUND and absent is not MUST_BE_THERE:
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
        """Never twice by itself: an import that is sent again makes every question again."""
        return {"max_retries": 0, "additional_headers": dict(self._authorization())}

    @cached_property
    def _sdk(self) -> Any:
        """Its types promise less than it does: `import_tasks` gives the tasks' numbers."""
        from label_studio_sdk import client

        make: Any = client.LabelStudio
        return make(
            base_url=self.base_url, timeout=self.timeout, max_retries=0, httpx_client=self._http,
            api_key="given with each request, see _once",
        )  # fmt: skip

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Turn whatever goes wrong into words. The SDK's own would print the session's cookie."""
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
                f"{self.base_url} broke off while {what} ({type(error).__name__})",
                hint="run the same command again; nothing is sent twice",
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnsureOutcome(
                f"{self.base_url} answered nonsense while {what} ({type(error).__name__})",
                hint="see that it is a Label Studio and no login page or proxy, then run this again",
            ) from None

    def _refusal(self, status: int, body: Any, what: str) -> LabelStudioError:
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return LabelStudioError(
                f"{self.base_url} refuses the token ({status}) while {what}",
                hint="set ANNOTATE_LABELSTUDIO__TOKEN to one from Account & Settings > Access Token there",
            )
        stumbled = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in stumbled:
            return UnsureOutcome(
                f"{self.base_url} failed ({status}) while {what}",
                hint="look at its log, then run the same command again; nothing is sent twice",
            )
        if status < HTTPStatus.BAD_REQUEST:
            return UnsureOutcome(
                f"{self.base_url} answered nonsense ({status}) while {what}",
                hint="see that it is a Label Studio and no login page or proxy, then run this again",
            )
        return LabelStudioError(
            f"{self.base_url} refuses ({status}) while {what}: {_short(body)}", hint="see `annotate doctor`"
        )


def _condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _short(body: Any) -> str:
    text = body if isinstance(body, str) else json.dumps(body, default=str)
    return "a web page" if "<html" in text.lower() else text[:300]
