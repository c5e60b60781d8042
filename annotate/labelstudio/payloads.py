"""Projects and tasks as Label Studio's API sends them, read into dataclasses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ANSWER_NUMBERS = "annotations_ids"
LISTED_CHARACTERS = 500
"""Length at which Label Studio truncates the list of a task's answers."""


@dataclass(frozen=True, slots=True)
class StudioProject:
    """One project on the server."""

    id: int
    created_at: str
    """To the microsecond, which distinguishes it from a project with the same number on another server."""
    model_version: str
    label_config: str
    """The page that raters see."""
    raters: int
    """How many people are asked each question."""
    description: str = ""
    """Contains the marker of the `annotate` project that created it."""


@dataclass(frozen=True, slots=True)
class ListedTask:
    """One task of the server, without its answers."""

    id: int
    key: str
    """Key of the question; empty for tasks of other programs."""
    annotations: int
    """Number of answers and skips."""
    sample: str = ""
    """The sample that its data name; empty without one."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The rest of its data: the text and the URLs of the media that raters see."""
    updated_at: str = ""
    """Time of the last change of the task or of its answers, as the server writes it."""
    answer_numbers: tuple[int, ...] | None = None
    """Numbers of its answers and skips; None when the server did not list them all."""


def whole_task(task: dict[str, Any]) -> dict[str, Any]:
    """The task unchanged. Raises `TypeError`, `KeyError` or `ValueError` if it lacks necessary data."""
    if not isinstance(task["annotations"], list) or not isinstance(task["data"], dict):
        raise TypeError("a task without data or annotations")
    datetime.fromisoformat(task["updated_at"])
    return task


def listed_task(task: dict[str, Any]) -> ListedTask:
    """A task of the list, with the keys that `LabelStudioClient` asks for."""
    answers = (task["total_annotations"] or 0) + (task["cancelled_annotations"] or 0)
    numbers = str(task[ANSWER_NUMBERS] or "") if ANSWER_NUMBERS in task else None
    data = task["data"]
    shown = {name: str(value) for name, value in data.items() if name not in ("key", "sample")}
    return ListedTask(
        int(task["id"]), str(data.get("key", "")), answers, str(data.get("sample", "")), shown,
        str(task["updated_at"]),
        None if numbers is None or len(numbers) >= LISTED_CHARACTERS
        else tuple(int(number) for number in re.findall(r"\d+", numbers)),
    )  # fmt: skip


def marked_on_page(listing: Mapping[str, Any], marker: str) -> tuple[list[StudioProject], bool]:
    """The projects of a page that contain the marker, and whether there are more pages."""
    marked = [p for p in listing["results"] if marker in (p["description"] or "")]
    return [studio_project(p) for p in marked], bool(listing["next"])


def studio_project(payload: Mapping[str, Any]) -> StudioProject:
    """A project as the API describes it."""
    created = datetime.fromisoformat(payload["created_at"]).isoformat(timespec="microseconds")
    return StudioProject(
        int(payload["id"]), created, payload["model_version"] or "", payload["label_config"] or "",
        int(payload["maximum_annotations"]), payload["description"] or "",
    )  # fmt: skip
