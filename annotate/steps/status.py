"""Report the state of the project and the next command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.corpus.gaps import gap_warnings
from annotate.corpus.splits import deviation, deviation_of, is_off
from annotate.labelling.transcripts_shown import judged_otherwise
from annotate.project import Project
from annotate.steps._next import next_command
from annotate.types import Split
from annotate.wording import counted
from db import reask, stats, videos
from db.engine import Session, reading
from db.models import QuestionState

SHOWN_ROUNDS = 3
SHOWN_SCORES = ("n", "MAE", "Corr", "CCC", "Acc-2", "Has0", "Acc", "F1", "Acc-subset", "F1-micro")


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Everything there is, counted."""

    project: str
    folder: Path
    videos: Sequence[Mapping[str, Any]]
    """By status and reason."""
    samples: Mapping[str, int]
    """By split."""
    rejected: Mapping[str, int]
    """Rejected samples, by check; one sample may fail several checks."""
    labels: Sequence[Mapping[str, Any]]
    """By task and origin, a column per split."""
    questions: Sequence[Mapping[str, Any]]
    """By pass, a column per state."""
    judged_on_other_text: int
    """Finished questions whose raters saw another transcript than their sample has now."""
    batches: int
    rounds: int
    scores: Sequence[Mapping[str, Any]]
    """On the test split, of the latest rounds, newest first."""
    annotators: Sequence[Mapping[str, Any]]
    exports: Sequence[Mapping[str, Any]]
    warnings: Sequence[str]
    next: str


def status(project: Project) -> StatusReport:
    """Count what the database holds.

    Raises `SchemaMismatch` when it is older or newer than the code.
    """
    with reading(project.engine) as session:
        total, latest = stats.rounds(session, SHOWN_ROUNDS)
        judged = reask.judged_on_other_text(session)
        video_rows = [{"status": s, "reason": reason, "videos": n} for s, reason, n in stats.videos(session)]
        if unreadable := stats.unreadable_files(session):
            video_rows.append({"status": "unreadable", "reason": "", "videos": unreadable})
        counts = stats.samples(session)
        label_counts = {(task, origin, split): n for task, origin, split, n in stats.labels(session)}
        origins = {task.id: {"human"} for task in project.settings.tasks()}
        for task, origin, _ in label_counts:
            origins.setdefault(task, set()).add(origin)
        question_counts = {(modality, state): n for modality, state, n in stats.questions(session)}
        states = [state.name.lower() for state in QuestionState]
        unassigned = {"no split yet": counts[""]} if counts.get("") else {}
        return StatusReport(
            project=project.settings.project.name,
            folder=project.root,
            videos=video_rows,
            samples={split.value: counts.get(split.value, 0) for split in Split} | unassigned,
            rejected=dict(stats.rejected(session)),
            labels=[
                {"task": task, "origin": origin}
                | {split.value: label_counts.get((task, origin, split.value), 0) for split in Split}
                for task, task_origins in origins.items()
                for origin in sorted(task_origins)
            ],
            questions=[
                {"pass": modality.word}
                | {state: question_counts.get((modality.value, state), 0) for state in states}
                for modality in project.settings.passes
            ],
            judged_on_other_text=len(judged),
            batches=stats.batches(session),
            rounds=total,
            scores=[
                {"round": trained.id, "task": task} | {k: scores[k] for k in SHOWN_SCORES if k in scores}
                for trained in latest
                for task, scores in sorted(trained.metrics.get(Split.TEST.value, {}).items())
            ],
            annotators=[
                {
                    "annotator": name,
                    "answered": answered,
                    "skipped": skipped,
                    "minutes": None if seconds is None else round(seconds / 60, 1),
                }
                for name, answered, skipped, seconds in stats.annotators(session)
            ],
            exports=[{"format": f, "path": p, "samples": n} for f, p, n in stats.exports(session)],
            warnings=[
                *_shares_off(project, session),
                *judged_otherwise(judged),
                *gap_warnings(project, session),
            ],
            next=_next(project),
        )


def _shares_off(project: Project, session: Session) -> list[str]:
    """A warning when the splits differ from `[splits]`; none for an imported corpus, which has its own."""
    counts = videos.samples_per_split(session)
    shares = {split: project.settings.splits.share(split) for split in Split}
    if not is_off(deviation(counts, shares)) or not videos.any_cut_here(session):
        return []
    total = sum(counts.values())
    off_shares = ", ".join(
        f"{split.value} holds {n} of {counted(total, 'sample')} ({100 * n / total:.0f} %, "
        f"target {100 * shares[split]:.0f} %)"
        for split, n in counts.items()
        if is_off(deviation_of(n / total, shares[split]))
    )
    return [
        f"the splits are off target: {off_shares}. `annotate recheck` moves groups that nobody was asked "
        "about; where that does not help, add videos of other speakers"
    ]


def _next(project: Project) -> str:
    """The next command, what raters have to do before it, or that the project is finished."""
    command = next_command(project)
    with reading(project.engine) as session:
        if command == "annotate pull":
            open_state = QuestionState.OPEN.name.lower()
            if waiting := sum(n for _, state, n in stats.questions(session) if state == open_state):
                return (
                    f"raters have {counted(waiting, 'open question')} in Label Studio (`annotate studio "
                    "status` shows where); when they have answered: annotate pull"
                )
        if not command.startswith("annotate export"):
            return command
        path = stats.still_good_export(session)
    if path is None or not Path(path).is_dir():
        return command
    return f"done: {path} holds every finished sample; `annotate ingest` more videos to go on"
