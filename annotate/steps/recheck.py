"""Apply the rules of the settings to every sample again, from the stored measurements."""

from collections.abc import Mapping
from dataclasses import dataclass

from annotate.ingest.outlook import still_asked
from annotate.ingest.run import LOCK_SECONDS
from annotate.ingest.settle import settle
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.steps._next import next_command
from annotate.types import Split
from db import outbox, stats, videos
from db.engine import reading, writing


@dataclass(frozen=True, slots=True)
class RecheckReport:
    """The outcome of applying the rules."""

    samples: int
    """Samples in use now."""
    before: int
    """Samples in use before."""
    splits: Mapping[Split, int]
    moved: int
    """Samples that are in another split than before."""
    rejected: Mapping[str, int]
    """Rejected samples, by check; one sample may fail several checks."""
    warnings: list[str]
    next: str


def recheck(project: Project, *, progress: Progress = SILENT) -> RecheckReport:
    """Apply changed rules without reading videos; samples that are accepted now get a split.

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
