"""Converts questions to Label Studio's tasks, and its annotations to answers, which it does not check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any
from urllib.parse import quote

from annotate.labelstudio.client import MODEL_VERSION
from annotate.labelstudio.interface import NOTHING
from annotate.types import Dimension, Kind, Modality

NO_TRANSCRIPT = "(no transcript)"
"""Shown for samples without a transcript, because an empty box would look like an error."""


@dataclass(frozen=True, slots=True)
class ParsedAnnotation:
    """One annotation of one rater, read and checked."""

    annotation_id: int
    ls_task_id: int
    rater: int | None
    """User id of the rater; None when that account was deleted."""
    editor: int | None
    """User id of the person who changed it last, if that was not the rater; else None."""
    revision: str
    """When it was last changed, as the server wrote it."""
    created_at: datetime
    changed_at: datetime
    seconds: float | None
    skipped: bool
    answers: Mapping[str, str]
    """Alias by dimension, or the joined aliases of a multilabel dimension; empty when skipped."""
    problems: tuple[str, ...]
    """Descriptions of missing and unusable answers."""
    complete: bool
    """Whether no dimension has an unusable answer; dimensions that were not asked yet do not count."""


class Unreadable(ValueError):
    """The data are not an annotation, or lack its id or times."""


def question(
    modality: Modality, key: str, sample_id: str, transcript: str, media_path: str, score: float
) -> dict[str, Any]:
    """The server's task for one question; it contains nothing that the pass may not show.

    `media_path` is relative to the served media folder; the task with the lowest `score` is asked first.
    """
    data = {"key": key, "sample": sample_id}
    if modality in (Modality.TEXT, Modality.MULTIMODAL):
        data["text"] = transcript if transcript.strip() else NO_TRANSCRIPT
    if modality is not Modality.TEXT:
        name = "audio" if modality is Modality.AUDIO else "video"
        data[name] = f"/data/local-files/?d={quote(media_path)}"
    # The prediction only carries the score; its result is empty, so raters see no prediction.
    prediction = {"model_version": MODEL_VERSION, "score": score, "result": []}
    return {"data": data, "predictions": [prediction]}


def parse_annotation(annotation: Any, dimensions: Sequence[Dimension]) -> ParsedAnnotation:
    """Read and check one annotation; invalid answers become `problems`.

    Raises `Unreadable` when it is not an annotation.
    """
    try:
        skipped = bool(annotation["was_cancelled"])
        answers, problems = ({}, {}) if skipped else _answers(annotation["result"], dimensions)
        # Label Studio names no editor for answers that were imported.
        rater, editor = _user(annotation["completed_by"]), _user(annotation.get("updated_by"))
        seconds = annotation.get("lead_time")
        timed = isinstance(seconds, int | float) and not isinstance(seconds, bool) and isfinite(seconds)
        return ParsedAnnotation(
            annotation_id=_number(annotation["id"]),
            ls_task_id=_number(annotation["task"]),
            rater=rater,
            editor=None if editor == rater else editor,
            revision=str(annotation["updated_at"]),
            created_at=datetime.fromisoformat(annotation["created_at"]),
            changed_at=datetime.fromisoformat(annotation["updated_at"]),
            seconds=float(seconds) if timed and seconds >= 0 else None,
            skipped=skipped,
            answers=answers,
            problems=tuple(problems.values()),
            complete=all(not _given(annotation["result"], name) for name in problems),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not an id")
    return value


def _user(value: Any) -> int | None:
    """The id of a user, whom some API calls return as an object; None for a deleted account."""
    user = value["id"] if isinstance(value, Mapping) else value
    return None if user is None else _number(user)


def _answers(result: Any, dimensions: Sequence[Dimension]) -> tuple[dict[str, str], dict[str, str]]:
    """The usable answers, and the problems of the others, by dimension."""
    answers: dict[str, str] = {}
    problems: dict[str, str] = {}
    for dimension in dimensions:
        given = _given(result, dimension.name)
        answer = _stored_answer(given, dimension)
        if answer is not None:
            answers[dimension.name] = answer
        elif not given:
            problems[dimension.name] = f"{dimension.name} is not answered"
        else:
            words = [NOTHING.label if alias == NOTHING.alias else alias for alias in given]
            problems[dimension.name] = f"{dimension.name} is answered {', '.join(map(repr, words))}"
    return answers, problems


def _stored_answer(given: Sequence[Any], dimension: Dimension) -> str | None:
    """The answer to store for these choices; None when they are unusable."""
    if dimension.kind is Kind.MULTILABEL:
        # `NOTHING` together with another choice is a contradiction, so it only counts alone.
        if given == [NOTHING.alias]:
            return ""
        usable = bool(given) and _known(given, dimension) and len(set(given)) == len(given)
        return dimension.joined(given) if usable else None
    return given[0] if len(given) == 1 and _known(given, dimension) else None


def _known(given: Sequence[Any], dimension: Dimension) -> bool:
    return all(isinstance(alias, str) and dimension.answer(alias) is not None for alias in given)


def _given(result: Any, name: str) -> list[Any]:
    """All choices in the control `name`."""
    regions = result if isinstance(result, list) else []
    chosen: list[Any] = []
    for region in regions:
        if isinstance(region, dict) and region.get("from_name") == name:
            value = region.get("value")
            choices = value.get("choices") if isinstance(value, dict) else None
            chosen += choices if isinstance(choices, list) else [value]
    return chosen
