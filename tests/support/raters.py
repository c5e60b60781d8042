"""Questions for tests, and raters who answer them over Label Studio's own HTTP API."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from annotate.labelling.labels import LabelDifference, label_differences
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.steps.pull import PullReport
from annotate.steps.pull import pull as pull_answers
from annotate.types import Modality, Role
from db import batches
from db.batches import NewQuestion
from db.engine import reading, writing
from db.models import Batch, Question
from db.outbox import ls_projects
from tests.support.factories import add_sample, add_video


def pull(project: Project, **options: bool) -> PullReport:
    """Pull, and see that the stored labels are those that all annotations make."""
    report = pull_answers(project, **options)
    assert label_problems(project) == []
    return report


def label_problems(project: Project) -> list[LabelDifference]:
    with reading(project.engine) as session:
        return label_differences(session, project.settings.tasks())


TEXT_ONLY = (Modality.TEXT,)


def with_raters(project: Project, raters: int, passes: Sequence[Modality] = tuple(Modality)) -> Project:
    """The same project, asking this many people in these passes."""
    protocol = project.settings.protocol.model_copy(update={"raters": raters, "passes": tuple(passes)})
    copy = dataclasses.replace(project, settings=project.settings.model_copy(update={"protocol": protocol}))
    copy.__dict__["engine"] = project.engine
    return copy


def add_samples(project: Project, n: int, name: str = "talk") -> list[str]:
    """Samples with media of a byte; Label Studio does not look at them."""
    with writing(project.engine) as session:
        video = add_video(session, name)
        ids = [add_sample(session, video, start=3 * i, text=f"words {i}").id for i in range(n)]
    for sample_id in ids:
        media = project.sample_media(sample_id)
        for file in (media.clip, media.audio, media.silent):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
    return ids


def ask(project: Project, sample_ids: Sequence[str]) -> list[str]:
    """Queue a batch of these samples in every pass, M held back as `next-batch` does it; the keys."""
    passes = project.settings.passes
    questions = [
        NewQuestion(s, m, Role.ACTIVE, rank, 1.0 - rank, None, m is Modality.MULTIMODAL and len(passes) > 1)
        for rank, s in enumerate(sample_ids)
        for m in passes
    ]
    with writing(project.engine) as session:
        batch_id = batches.create_batch(
            session, project_name="corpus", questions=questions, predictions=[],
            header=Batch(round_id=None, strategy="uniform", seed=0, settings={}),
        )  # fmt: skip
        return [item.key for item in batches.questions(session, batch_id)]


def items(project: Project) -> dict[tuple[str, str], Question]:
    """Questions by (sample, pass); the newest of each."""
    with reading(project.engine) as session:
        rows = session.query(Question).order_by(Question.id).all()
        session.expunge_all()
    return {(row.sample_id, row.modality): row for row in rows}


@dataclass(frozen=True)
class Rater:
    url: str
    email: str
    token: str

    def answer(self, item: Question, **answers: str) -> int:
        """Fill in the form; returns the number of the annotation."""
        return self._annotate(item, result=form(**answers))

    def skip(self, item: Question) -> int:
        return self._annotate(item, result=[], was_cancelled=True)

    def send(self, item: Question, result: Any) -> int:
        return self._annotate(item, result=result)

    def edit(self, annotation: int, **answers: str) -> None:
        self._call("PATCH", f"/api/annotations/{annotation}/", result=form(**answers))

    def send_edit(self, annotation: int, result: Any) -> None:
        self._call("PATCH", f"/api/annotations/{annotation}/", result=result)

    def delete(self, annotation: int) -> None:
        self._call("DELETE", f"/api/annotations/{annotation}/")

    def delete_task(self, item: Question) -> None:
        self._call("DELETE", f"/api/tasks/{item.ls_task_id}/")

    def queue(self, ls_project: int, answers: dict[str, str]) -> list[str]:
        """Work through a queue; samples in the order they were served."""
        served = []
        while task := self._call("GET", f"/api/projects/{ls_project}/next"):
            served.append(task["data"]["sample"])
            self._call("POST", f"/api/tasks/{task['id']}/annotations/", result=form(**answers), lead_time=2.5)
        return served

    def _annotate(self, item: Question, **body: Any) -> int:
        return int(
            self._call("POST", f"/api/tasks/{item.ls_task_id}/annotations/", lead_time=2.5, **body)["id"]
        )

    def _call(self, method: str, path: str, **body: Any) -> Any:
        answer = httpx.request(
            method, self.url + path, json=body or None, timeout=60, trust_env=False,
            headers={"Authorization": f"Token {self.token}"},
        )  # fmt: skip
        if method == "GET" and answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json() if answer.content else None


def form(**answers: str) -> list[dict[str, Any]]:
    """What the page sends when these choices are picked."""
    return [
        {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [alias]}}
        for name, alias in answers.items()
    ]


def whole(client: LabelStudioClient, ls_project_id: int) -> list[dict[str, Any]]:
    """Every task of a project on the server, with what was answered."""
    numbers = [task.id for task in client.tasks(ls_project_id)]
    return [task for page in client.whole_tasks(ls_project_id, numbers) for task in page]


def ls_project(project: Project, modality: Modality = Modality.TEXT) -> int:
    with reading(project.engine) as session:
        return ls_projects(session)[modality]
