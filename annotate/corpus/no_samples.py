"""Errors for projects without active samples: none was cut, all are rejected, or none has a split."""

from annotate.errors import NothingToDo
from annotate.wording import counted, either
from db import stats
from db.engine import Session
from db.samples import Filter, count_listed

INGEST = "annotate ingest FOLDER-WITH-VIDEOS"
EXPLAIN = "annotate explain VIDEO"


def no_samples(session: Session) -> NothingToDo:
    """The error for a command that needs samples and has none."""
    if broken := ", ".join(f"{check} {count}" for check, count in stats.rejected(session)):
        return NothingToDo(
            f"every sample is rejected ({broken})",
            hint=f"`{EXPLAIN}` shows why; change a rule in annotate.toml, then `annotate recheck`",
        )
    return NothingToDo("there are no samples yet", hint=INGEST)


def no_split(session: Session) -> NothingToDo | None:
    """The error for a command that needs a split when no sample has one; else None."""
    counts = stats.samples(session)
    if not counts or counts.keys() != {""}:
        return None
    return NothingToDo(
        f"{counted(counts[''], 'sample')} "
        f"{either(counts[''], 'has no split, and is', 'have no split, and are')} not asked",
        hint="`annotate recheck` assigns one after a killed run, or tells what prevents it",
    )


def no_match(session: Session) -> NothingToDo:
    """The error for a filter that no sample matches: there are no samples at all, or only others."""
    if not count_listed(session, Filter()):
        return NothingToDo("there are no samples yet", hint=INGEST)
    return NothingToDo(
        "no sample matches these options",
        hint="annotate samples list, without options; with --status retired or removed, what is out of use",
    )
