"""Judge every sample again by the rules of the settings, from what the database holds."""

from collections.abc import Mapping
from dataclasses import dataclass

from annotate.ingest.run import LOCK_SECONDS
from annotate.ingest.settle import settle
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.steps._next import next_command
from annotate.types import Split
from annotate.wording import counted, either
from db import outbox, stats, videos
from db.engine import reading, writing


@dataclass(frozen=True, slots=True)
class RecheckReport:
    """What the rules made of the samples."""

    samples: int
    """That take part now."""
    before: int
    """That took part before."""
    splits: Mapping[Split, int]
    moved: int
    """Samples that are in another split than before."""
    rejected: Mapping[str, int]
    """Samples that rules keep out, by check; one may have broken several."""
    warnings: list[str]
    next: str


def recheck(project: Project, *, progress: Progress = SILENT) -> RecheckReport:
    """Apply changed rules without reading a video; what comes back gets its split.

    Raises `UnknownName` or `ConfigError` for a rule that cannot be used, `ProjectBusy` while another command
    writes.
    """
    with project.writing(wait_seconds=LOCK_SECONDS), progress.bar("recheck", None):
        with reading(project.engine) as session:
            before = sum(stats.samples(session).values())
        with writing(project.engine) as session:
            settled = settle(project, session)
    with reading(project.engine) as session:
        return RecheckReport(
            samples=sum(stats.samples(session).values()),
            before=before,
            splits=videos.samples_per_split(session),
            moved=settled.moved,
            rejected=dict(stats.rejected(session)),
            warnings=[*settled.warnings, *still_asked(outbox.open_of_rejected(session))],
            next=next_command(project),
        )


def still_asked(questions: int) -> list[str]:
    """A warning when raters can still answer about samples that take no part."""
    if not questions:
        return []
    return [
        f"{counted(questions, 'question')} about rejected samples "
        f"{either(questions, 'is', 'are')} open in Label "
        f"Studio, and {either(questions, 'stays', 'stay')} there: what people answer is stored, "
        "and counts when "
        "the rules let those samples in again"
    ]
