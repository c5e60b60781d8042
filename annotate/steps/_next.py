"""The next command of a project."""

from annotate.corpus.no_samples import EXPLAIN, INGEST
from annotate.errors import AnnotateError
from annotate.labelstudio.server import StudioFolder
from annotate.project import Project
from annotate.types import Kind
from db import stats
from db.batches import something_left
from db.engine import reading
from db.models import UNANSWERED

WAITING = frozenset(state.name.lower() for state in UNANSWERED)


def next_command(project: Project) -> str:
    """The command to run next, given the state of the project."""
    with reading(project.engine) as session:
        samples = sum(stats.samples(session).values())
        waiting = sum(n for _, state, n in stats.questions(session) if state in WAITING)
        left = something_left(session, project.settings.passes, _again_below(project))
        refused = bool(stats.rejected(session))
    if samples == 0:
        return EXPLAIN if refused else INGEST
    if _unextracted(project, samples):
        return "annotate extract"
    if (waiting or left) and not _studio_runs(project):
        return "annotate studio up"
    if waiting:
        return "annotate pull"
    if left:
        return "annotate next-batch"
    regression = any(d.kind is Kind.REGRESSION for d in project.settings.dimensions)
    return f"annotate export {'mmsa' if regression else 'jsonl'} dataset"


def _again_below(project: Project) -> int:
    from annotate.batch.request import Request
    from annotate.batch.snapshot import BatchRules, again_below

    batch = project.settings.batch
    try:
        return again_below(
            BatchRules.of(project.settings), Request(batch.strategy, batch.ask == "samples"), has_model=True
        )
    except AnnotateError:
        return 0  # `annotate next-batch` reports the error


def _unextracted(project: Project, samples: int) -> bool:
    from annotate.corpus.features import feature_names

    try:
        names = set(feature_names(project).values())
    except AnnotateError:
        return True  # `annotate extract` reports the error
    with reading(project.engine) as session:
        return stats.featured(session, names) < samples


def _studio_runs(project: Project) -> bool:
    return bool(project.settings.labelstudio.url) or StudioFolder(project.studio).running() is not None
