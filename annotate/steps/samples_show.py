"""Show everything about one sample: content, checks, questions, labels and corrections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotate.corpus.lookup import one_sample
from annotate.corrections.plan import speaker_of
from annotate.project import Project
from db import corrections, explain, models, samples
from db.engine import reading


@dataclass(frozen=True, slots=True)
class SampleReport:
    """One sample."""

    sample: str
    video: str
    """Path."""
    start: float
    """Seconds from the start of the video."""
    end: float
    transcript: str
    transcript_origin: str
    transcript_as_written: str
    """Before normalisation; empty where normalisation changed nothing."""
    speaker: str
    speaker_origin: str
    status: str
    split: str
    reasons: str
    """Why it is rejected, or who decided about it."""
    corrected: bool
    predecessors: Sequence[str]
    """Samples that it replaced."""
    successors: Sequence[str]
    """Samples that replaced it."""
    clip: str
    """Path of the clip with picture and sound; empty where there is none."""
    checks: Mapping[str, float | str | None]
    """The measured value per check."""
    questions: Sequence[Mapping[str, Any]]
    """Questions about the sample. `dimensions` is empty for a question about all dimensions of the project,
    `judged_text` where raters saw the present transcript."""
    labels: Mapping[str, float | str | None]
    corrections: Sequence[Mapping[str, Any]]
    """Oldest first, those of its predecessors included."""


def show_sample(project: Project, name: str) -> SampleReport:
    """Everything about the sample whose id is or begins with `name`.

    Raises `UnknownName` when no sample matches, `UsageError` when several do.
    """
    with reading(project.engine) as session:
        row = session.get_one(models.Sample, one_sample(session, name))
        relatives = corrections.of_video(session, row.video_sha256)
        clip = project.sample_media(row.id).clip
        return SampleReport(
            sample=row.id,
            video=explain.located(session, row.video_sha256).path,
            start=row.start_us / 1e6,
            end=row.end_us / 1e6,
            transcript=row.transcript,
            transcript_origin=row.transcript_origin,
            transcript_as_written=row.transcript_raw if row.transcript_raw != row.transcript else "",
            speaker=speaker_of(session, row),
            speaker_origin=row.speaker_origin,
            status=row.status,
            split=row.split or "",
            reasons=samples.failures(session, [row.id]).get(row.id, ""),
            corrected=row.by_hand,
            predecessors=list(row.predecessors),
            successors=[other.id for other in relatives if row.id in other.predecessors],
            clip=str(clip) if clip.exists() else "",
            checks={v.name: v.word or v.value for v in explain.verdicts(session, [row.id])[row.id]},
            questions=[
                {
                    "asked": question.created_at,
                    "pass": question.modality,
                    "dimensions": question.dimensions,
                    "state": models.QuestionState(question.state).name.lower(),
                    "judged_text": ""
                    if question.transcript in (None, row.transcript)
                    else question.transcript,
                }
                for question in samples.questions(session, row.id)
            ],
            labels={
                label.task_id: label.category if label.number is None else label.number
                for label in samples.labels(session, row.id)
            },
            corrections=[
                {
                    "at": entry.at, "author": entry.author, "sample": entry.sample_id, "field": entry.field,
                    "old": _shown(entry.old), "new": _shown(entry.new), "reason": entry.reason,
                }
                for entry in corrections.history(session, [row.id, *map(str, row.predecessors)])
            ],
        )  # fmt: skip


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value not in (None, ""))
