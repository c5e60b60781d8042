"""What to say where no sample takes part: none was cut, rules keep all of them out, or none has a split."""

from annotate.errors import NothingToDo
from annotate.wording import counted, either
from db import stats
from db.engine import Session

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
    """The error for a command that needs a split where no sample has one; None where one has."""
    counts = stats.samples(session)
    if not counts or counts.keys() != {""}:
        return None
    return NothingToDo(
        f"{counted(counts[''], 'sample')} "
        f"{either(counts[''], 'has no split, and is', 'have no split, and are')} not asked",
        hint="`annotate recheck` gives them one after a killed run, or tells what stands against it",
    )
