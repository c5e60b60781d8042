"""Find the one sample that an id, or the beginning of one, means."""

from annotate.errors import NothingToDo, UnknownName, UsageError
from annotate.wording import counted
from db import samples
from db.engine import Session

SHORTEST_PREFIX = 4
LISTED = 5


def one_sample(session: Session, name: str) -> str:
    """The id of the sample called `name`: its id, or at least `SHORTEST_PREFIX` characters of its beginning.

    Raises `UnknownName` where there is none, `UsageError` that lists the candidates where there are several,
    `NothingToDo` when the project has no sample at all.
    """
    wanted = name.strip().lower()
    found = samples.ids_like(session, wanted) if len(wanted) >= SHORTEST_PREFIX else []
    if wanted in found:
        return wanted
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(found[:LISTED]) + (", ..." if len(found) > LISTED else "")
        raise UsageError(
            f"{counted(len(found), 'sample')} begin with {name!r}: {listed}", hint="type more of the id"
        )
    if not samples.any_there(session):
        raise NothingToDo("there are no samples yet", hint="annotate ingest FOLDER-WITH-VIDEOS")
    raise UnknownName(
        f"no sample is called {name!r}",
        hint=f"`annotate samples list` shows ids; {SHORTEST_PREFIX} characters of one may be enough",
    )
