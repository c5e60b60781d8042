"""What can be seen of a server and of a database, written so that two servers can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.histories.history import NextBatch, Pull
from tests.histories.oracle import Oracle

Seen = dict[str, Any]


@dataclass
class Watcher:
    """Numbers of tasks and annotations count from the first one seen, times by whether they moved."""

    oracle: Oracle
    _first_task: int = 0
    _first_annotation: int = 0
    _times: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def look(self, operation: object) -> Seen:
        """What can be seen after an operation."""
        tasks = [task for m in self.oracle.passes() for task in self.oracle.ls_tasks(m)]
        numbers = [task["id"] for task in tasks]
        self._first_task = self._first_task or min(numbers, default=0)
        annotations = [a["id"] for task in tasks for a in task["annotations"]]
        self._first_annotation = self._first_annotation or min(annotations, default=0)
        people = self.oracle.accounts()
        times = {task["id"]: _times(task) for task in tasks}
        moved = [number - self._first_task for number in numbers if times[number] != self._times.get(number)]
        self._times = times
        return {
            "after": str(operation),
            "tasks": [self._task(task, people) for task in tasks],
            "moved": sorted(moved),
            "stored": self._stored() if isinstance(operation, Pull | NextBatch) else None,
        }

    def _task(self, task: Mapping[str, Any], people: Mapping[int, str]) -> Seen:
        columns = ("total_annotations", "cancelled_annotations", "overlap")
        return {
            "number": task["id"] - self._first_task,
            "sample": task["data"]["sample"],
            "key": task["data"].get("key"),
            **{column: task[column] for column in columns},
            "annotations": [self._annotation(a, people) for a in task["annotations"]],
        }

    def _annotation(self, annotation: Mapping[str, Any], people: Mapping[int, str]) -> Seen:
        return {
            "number": annotation["id"] - self._first_annotation,
            "task": annotation["task"] - self._first_task,
            "by": self._name(people, annotation["completed_by"]),
            "changed by": self._name(people, annotation["updated_by"]),
            **{column: annotation[column] for column in ("result", "was_cancelled", "lead_time")},
        }

    def _name(self, people: Mapping[int, str], number: int | None) -> str | None:
        return None if number is None else self.oracle.name(people[number])

    def _rater(self, annotator: str) -> str:
        """Answers of deleted accounts are named after their number on the server."""
        kind, _, number = annotator.partition(":")
        if kind != "deleted":
            return self.oracle.name(annotator)
        return f"{kind}:{int(number.partition('@')[0]) - self._first_annotation}"

    def _stored(self) -> list[tuple[Any, ...]]:
        """The table of annotations."""
        return [
            (
                row.sample,
                row.task,
                self._rater(row.annotator),
                row.state,
                row.value,
                row.tag,
                row.supersedes,
            )
            for row in self.oracle.stored().rows
        ]


def _times(task: Mapping[str, Any]) -> tuple[str, ...]:
    return (task["updated_at"], *(a["updated_at"] for a in task["annotations"]))
