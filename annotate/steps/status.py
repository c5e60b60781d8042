"""Tell where the project stands and what to type next."""

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
    """Samples that rules keep out, by check; one may have broken several."""
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
        return StatusReport(
            project=project.settings.project.name,
            folder=project.root,
            videos=_videos(stats.videos(session), stats.unreadable_files(session)),
            samples=_per_split(stats.samples(session)),
            rejected=dict(stats.rejected(session)),
            labels=_labels(project, stats.labels(session)),
            questions=_questions(project, stats.questions(session)),
            judged_on_other_text=len(judged),
            batches=stats.batches(session),
            rounds=total,
            scores=[row for fact in latest for row in _scores(fact)],
            annotators=[
                {"annotator": name, "answered": answered, "skipped": skipped, "minutes": _minutes(seconds)}
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
    """A warning when the splits do not hold what `[splits]` asks for; none about a corpus of others, which
    brought its own."""
    counts = videos.samples_per_split(session)
    shares = {split: project.settings.splits.share(split) for split in Split}
    if not is_off(deviation(counts, shares)) or not videos.any_cut_here(session):
        return []
    total = sum(counts.values())
    held = ", ".join(
        f"{split.value} holds {n} of {counted(total, 'sample')} ({100 * n / total:.0f} %, "
        f"target {100 * shares[split]:.0f} %)"
        for split, n in counts.items()
        if is_off(deviation_of(n / total, shares[split]))
    )
    return [
        f"the splits are off: {held}. `annotate recheck` moves groups that nobody was asked about; "
        "where that does not help, add videos of other speakers"
    ]


def _next(project: Project) -> str:
    """The next command, who has to do something first, or that all is done."""
    command = next_command(project)
    if command == "annotate pull" and (asked := _open_questions(project)):
        return (
            f"raters have {counted(asked, 'open question')} in Label Studio (`annotate studio status` shows "
            "where); when they have answered: annotate pull"
        )
    if not command.startswith("annotate export"):
        return command
    with reading(project.engine) as session:
        path = stats.still_good_export(session)
    if path is None or not Path(path).is_dir():
        return command
    return f"done: {path} holds every finished sample; `annotate ingest` more videos to go on"


def _open_questions(project: Project) -> int:
    """Questions that lie in Label Studio and wait for raters."""
    open_state = QuestionState.OPEN.name.lower()
    with reading(project.engine) as session:
        return sum(n for _, state, n in stats.questions(session) if state == open_state)


def _videos(counts: Sequence[tuple[str, str, int]], unreadable: int) -> list[dict[str, Any]]:
    rows = [{"status": status, "reason": reason, "videos": n} for status, reason, n in counts]
    return [*rows, *([{"status": "unreadable", "reason": "", "videos": unreadable}] if unreadable else [])]


def _per_split(counts: Mapping[str, int]) -> dict[str, int]:
    unassigned = {"no split yet": counts[""]} if counts.get("") else {}
    return {**{split.value: counts.get(split.value, 0) for split in Split}, **unassigned}


def _labels(project: Project, counts: Sequence[tuple[str, str, str, int]]) -> list[dict[str, Any]]:
    known = {task.id: {"human"} for task in project.settings.tasks()}
    for task, origin, _, _ in counts:
        known.setdefault(task, set()).add(origin)
    found = {(task, origin, split): n for task, origin, split, n in counts}
    return [
        {"task": task, "origin": origin, **{s.value: found.get((task, origin, s.value), 0) for s in Split}}
        for task, origins in known.items()
        for origin in sorted(origins)
    ]


def _questions(project: Project, counts: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    found = {(modality, state): n for modality, state, n in counts}
    states = [state.name.lower() for state in QuestionState]
    return [
        {"pass": modality.word, **{state: found.get((modality.value, state), 0) for state in states}}
        for modality in project.settings.passes
    ]


def _scores(fact: stats.RoundFact) -> list[dict[str, Any]]:
    tasks = fact.metrics.get(Split.TEST.value, {})
    return [
        {"round": fact.id, "task": task, **{k: tasks[task][k] for k in SHOWN_SCORES if k in tasks[task]}}
        for task in sorted(tasks)
    ]


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / 60, 1)
