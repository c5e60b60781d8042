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
    from annotate.batch.request import Request
    from annotate.batch.snapshot import BatchRules, again_below
    from annotate.corpus.features import feature_names

    batch = project.settings.batch
    try:
        rules = BatchRules.of(project.settings)
        ask_again_below = again_below(rules, Request(batch.strategy, batch.ask == "samples"), has_model=True)
    except AnnotateError:
        ask_again_below = 0  # `annotate next-batch` reports the error
    with reading(project.engine) as session:
        samples = sum(stats.samples(session).values())
        waiting = sum(n for _, state, n in stats.questions(session) if state in WAITING)
        left = something_left(session, project.settings.passes, ask_again_below)
        refused = bool(stats.rejected(session))
    if samples == 0:
        return EXPLAIN if refused else INGEST
    try:
        names = set(feature_names(project).values())
    except AnnotateError:
        names = None  # `annotate extract` reports the error
    with reading(project.engine) as session:
        if names is None or stats.featured(session, names) < samples:
            return "annotate extract"
    if waiting or left:
        if not project.settings.labelstudio.url and StudioFolder(project.studio).running() is None:
            return "annotate studio up"
        return "annotate pull" if waiting else "annotate next-batch"
    regression = any(d.kind is Kind.REGRESSION for d in project.settings.dimensions)
    return f"annotate export {'mmsa' if regression else 'jsonl'} dataset"
