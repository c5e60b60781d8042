"""Projects and tasks as Label Studio's API sends them, read into dataclasses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ANSWER_NUMBERS = "annotations_ids"
LISTED_CHARACTERS = 500
"""Label Studio cuts the list of a task's answers off there."""


@dataclass(frozen=True, slots=True)
class StudioProject:
    """What is known of one project on the server."""

    id: int
    created_at: str
    """To the microsecond: tells this server's project from one of the same number on another."""
    model_version: str
    label_config: str
    """The page that raters see."""
    raters: int
    """How many people each question is put to."""
    description: str = ""
    """Holds the marker of the `annotate` project that made it."""


@dataclass(frozen=True, slots=True)
class ListedTask:
    """One of the server's tasks, without what was answered."""

    id: int
    key: str
    """Empty when it is none of ours."""
    annotations: int
    """How many answers and skips the server counts."""
    sample: str = ""
    """The sample that its data name; empty when they name none."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The rest of its data: the text and the addresses of the media that raters see."""
    updated_at: str = ""
    """Time of the last change of the task or of its answers, as the server writes it."""
    answer_numbers: tuple[int, ...] | None = None
    """Of its answers and skips; None when the server did not list them all."""


def whole_task(task: dict[str, Any]) -> dict[str, Any]:
    """The task as it came, once it is known to have what is needed of it."""
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
    """Those of a page that hold the marker, and whether there are more pages."""
    marked = [p for p in listing["results"] if marker in (p["description"] or "")]
    return [studio_project(p) for p in marked], bool(listing["next"])


def studio_project(payload: Mapping[str, Any]) -> StudioProject:
    """A project as the API describes it."""
    created = datetime.fromisoformat(payload["created_at"]).isoformat(timespec="microseconds")
    return StudioProject(
        int(payload["id"]), created, payload["model_version"] or "", payload["label_config"] or "",
        int(payload["maximum_annotations"]), payload["description"] or "",
    )  # fmt: skip
