"""The slow checks of `annotate doctor --deep`: read all stored data and compare it with its hashes."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from annotate.doctor.findings import Finding, State, verdict
from annotate.errors import AnnotateError
from annotate.feature_store import FeatureStore
from annotate.labelling.connection import connect
from annotate.labelling.push import known_ls_project
from annotate.labelstudio.client import LabelStudioClient
from annotate.labelstudio.payloads import ListedTask, StudioProject
from annotate.progress import Progress
from annotate.project import Project
from annotate.storage.clips import PASSES, ExpectedFile
from annotate.types import Form, Modality
from annotate.wording import counted
from db import adoption, features, health, outbox
from db.engine import reading
from db.live_answers import (
    kept_answers,
    live_answers,
    number_of,
    unusable_origins,
)
from db.models import Question, QuestionState

_BACKUP = (
    "keep the database as it is and copy it first; then put a backup in its place and run `annotate pull "
    "--full`, which fetches every answer that Label Studio still holds"
)


@dataclass
class Deep:
    """The checks of one project, and all that they complain of."""

    project: Project
    progress: Progress
    problems: list[Mapping[str, str]] = field(default_factory=list)
    """``check`` and ``detail`` of each."""

    def checks(self) -> Mapping[str, Callable[[], Finding]]:
        """By name, in the order in which they run."""
        return {
            "stored data": self.stored_data,
            "clips": self.clips,
            "feature shards": self.feature_shards,
            "questions in label studio": self.questions,
        }

    def stored_data(self) -> Finding:
        """The database can read all that it stored, and every row has its parents."""
        tables = health.table_names()
        with self.progress.bar("reading the database", len(tables)) as bar:
            problems = health.complaints(self.project.engine, lambda table: bar.advance(note=table))
        self._keep("stored data", problems)
        return verdict(problems, f"{len(tables)} tables can be read", "problem", _BACKUP)

    def clips(self) -> Finding:
        """Every clip is there, with the bytes that were written."""
        hashes = health.media_hashes(self.project.engine)
        wanted = [
            ExpectedFile(sample_id, modality, known[modality.value])
            for sample_id, known in sorted(hashes.items())
            for modality in PASSES
            if modality.value in known
        ]
        with self.progress.bar("checking clips", len(wanted)) as bar:
            problems = self.project.clips.verify(wanted, bar.advance)
        self._keep("clips", problems)
        return verdict(
            problems, f"{counted(len(wanted), 'file')} as written", "damaged or missing file",
            "move damaged ones away, then `annotate ingest` the videos again: it cuts what is missing",
        )  # fmt: skip

    def feature_shards(self) -> Finding:
        """Every shard is there, with the bytes that were written."""
        store = FeatureStore(self.project.features)
        with reading(self.project.engine) as session:
            rows = features.shards(session)
        problems = []
        with self.progress.bar("checking features", len(rows)) as bar:
            for row in rows:
                if not store.intact(row.path, row.sha256):
                    state = "is damaged" if (store.root / row.path).exists() else "is missing"
                    problems.append(f"{store.root / row.path} {state}")
                bar.advance()
        self._keep("feature shards", problems)
        return verdict(
            problems, f"{counted(len(rows), 'shard')} as written", "damaged or missing shard",
            "`annotate extract` makes them again; imported ones come back with the same `annotate import`",
        )  # fmt: skip

    def questions(self) -> Finding:
        """Label Studio holds the questions that are open, and as many answers as were stored."""
        with reading(self.project.engine) as session:
            forms = outbox.asked_forms(session)
        if not forms:
            return Finding(State.OK, "nothing was asked yet")
        try:
            with (
                connect(self.project) as client,
                self.progress.bar("comparing Label Studio", len(forms)) as bar,
            ):
                problems = []
                for form in forms:
                    problems += self._compare(client, form)
                    bar.advance(note=form.modality.word)
        except AnnotateError as error:
            return Finding(State.WARN, f"not compared: {error}", error.hint)
        self._keep("questions in label studio", problems)
        return verdict(
            problems, "the same questions and answers as in the database", "difference",
            "annotate pull --full, which also names the answers that their raters have to update", State.WARN,
        )  # fmt: skip

    def _compare(self, client: LabelStudioClient, form: Form) -> list[str]:
        modality = form.modality
        ls_project = known_ls_project(self.project, client, form)
        if ls_project is None:
            return [f"the {form.words} has no project on {client.base_url}"]
        tasks = {task.id: task for task in client.tasks(ls_project.id)}
        with reading(self.project.engine) as session:
            questions = outbox.asked_questions(session, ls_project.id, modality)
            # Label Studio keeps the tasks of withdrawn questions, and gives them to nobody.
            known = {
                q.ls_task_id for q in adoption.questions_of(session, form) if q.ls_project_id == ls_project.id
            }
        problems = [
            f"sample {item.sample_id} ({modality.word}): {QuestionState(item.state).name.lower()} here, and "
            "not in Label Studio"
            for item in questions
            if item.ls_task_id not in tasks
        ]
        problems += [
            f"task {task.id} of the {modality.word} pass ({ls_project.id} in Label Studio) is no question of "
            f"this project; it holds {counted(task.annotations, 'answer')}"
            for task in tasks.values()
            if task.id not in known
        ]
        return problems + self._counts(questions, tasks, ls_project, modality)

    def _counts(
        self, questions: list[Question], tasks: Mapping[int, ListedTask], ls_project: StudioProject,
        modality: Modality,
    ) -> list[str]:  # fmt: skip
        with reading(self.project.engine) as session:
            kept = kept_answers(session)
            live = live_answers(session, ls_project.created_at)
            unusable = {
                number_of(o) for o in unusable_origins(session) if o.startswith(f"{ls_project.created_at}#")
            }
        unusable -= {answer.number for answer in live}
        stored = Counter(a.ls_task_id for a in live if (a.question_id, a.origin) not in kept)
        problems = []
        for item in questions:
            if (task := tasks.get(item.ls_task_id or 0)) is None:
                continue
            useless = len(unusable.intersection(task.answer_numbers or ()))
            about = f"sample {item.sample_id} ({modality.word}):"
            if useless:
                problems.append(f"{about} {counted(useless, 'answer')} in Label Studio cannot be used")
            if task.annotations != stored[task.id] + useless:
                answers = counted(task.annotations, "answer")
                problems.append(f"{about} {answers} in Label Studio, {stored[task.id]} here")
        return problems

    def _keep(self, check: str, details: list[str]) -> None:
        self.problems += [{"check": check, "detail": detail} for detail in details]
