"""Scripted raters: they answer every open question over the same HTTP API as Label Studio's page.

Made for the demo and for tests. Their answers are not judgements, but depend only on sample, pass and rater.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from annotate.errors import LabelStudioError
from annotate.labelstudio.interface import NOTHING
from annotate.types import Dimension, Kind, Modality

SHOWN = {
    Modality.TEXT: "text",
    Modality.AUDIO: "audio",
    Modality.VISION: "video",
    Modality.MULTIMODAL: "video",
}
"""The tag of the page that an answer belongs to."""
AGREEMENT = 0.8
"""Share of the answers that follow the script of the sample."""


@dataclass(frozen=True, slots=True)
class ScriptedRater:
    """One account with its authorization headers."""

    email: str
    headers: Mapping[str, str]


def scripted_choices(sample: str, modality: Modality, dimension: Dimension, rater: str) -> list[str]:
    """The aliases that the rater chooses: those of the sample's script, or others in one of five cases.

    Exactly one alias, except for multilabel dimensions, where each alias is chosen in half of the cases.
    """
    if dimension.kind is not Kind.MULTILABEL:
        script = _script(sample, modality, dimension.name, rater)
        return [dimension.answers[int(script * len(dimension.answers))].alias]
    scripts = {
        a.alias: _script(sample, modality, f"{dimension.name} {a.alias}", rater) for a in dimension.answers
    }
    return [alias for alias, script in scripts.items() if script < 0.5] or [NOTHING.alias]


def _script(sample: str, modality: Modality, asked: str, rater: str) -> float:
    """A number in [0, 1) that is equal for most raters."""
    if _chance(sample, modality.value, asked, rater) > AGREEMENT:
        return _chance(rater, sample, modality.value, asked)
    return _chance(sample, asked)


def answer_open_questions(
    base_url: str,
    raters: Sequence[ScriptedRater],
    ls_projects: Mapping[Modality, int],
    dimensions: Sequence[Dimension],
    *,
    answered: Callable[[str], None],
) -> int:
    """Let every rater answer the queue of every project, pass by pass; returns the number of answers.

    `answered` is called with the rater's e-mail address after each. Raises `LabelStudioError` when the server
    refuses or does not answer.
    """
    count = 0
    for modality, ls_project in ls_projects.items():
        for rater in raters:
            with httpx.Client(base_url=base_url, headers=dict(rater.headers), timeout=60) as http:
                while (reply := _send(http, "GET", f"/api/projects/{ls_project}/next")).is_success:
                    ls_task = reply.json()
                    _answer(http, ls_project, ls_task, modality, dimensions, rater.email)
                    answered(rater.email)
                    count += 1
    return count


def _answer(
    http: httpx.Client,
    ls_project: int,
    ls_task: Mapping[str, Any],
    modality: Modality,
    dimensions: Sequence[Dimension],
    rater: str,
) -> None:
    sample = ls_task["data"]["sample"]
    result = [
        {
            "from_name": dimension.name,
            "to_name": SHOWN[modality],
            "type": "choices",
            "value": {"choices": scripted_choices(sample, modality, dimension, rater)},
        }
        for dimension in dimensions
    ]
    seconds = 3 + 3 * _chance(rater, sample, modality.value)
    _send(
        http,
        "POST",
        f"/api/tasks/{ls_task['id']}/annotations/?project={ls_project}",
        json={"result": result, "lead_time": round(seconds, 1)},
    )


def _send(http: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    """The response, which may have status 404: that is how Label Studio says that a queue is empty."""
    try:
        reply = http.request(method, path, **more)
    except httpx.HTTPError as error:
        raise LabelStudioError(
            f"Label Studio did not answer at {path}: {type(error).__name__}",
            hint="see `annotate studio status`",
        ) from error
    if reply.status_code >= 400 and reply.status_code != httpx.codes.NOT_FOUND:
        raise LabelStudioError(
            f"Label Studio answered {reply.status_code} at {path}", hint="see `annotate studio status`"
        )
    return reply


def _chance(*key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    digest = hashlib.sha256("\x1f".join(key).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
