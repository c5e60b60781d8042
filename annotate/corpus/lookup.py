"""Find the one video or sample that a name on the command line means."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from annotate.corpus.paths import path_key, storable
from annotate.errors import NothingToDo, UnknownName, UsageError
from annotate.wording import counted
from db import explain as known
from db import samples
from db.engine import Session
from db.explain import FoundVideo

SHORTEST_PREFIX = 4
"""Characters of a sample id that may stand for the whole."""
LISTED = 5


def one_video(session: Session, name: str) -> FoundVideo:
    """The video called `name`: a path, a file name (perhaps without ending) or the beginning of a sha256.

    Raises `UnknownName` for a video that was never seen, `UsageError` that lists the candidates when several
    fit, `NothingToDo` when there is no video at all.
    """
    # Not resolved: a link is known by its own path.
    path = path_key(name if "://" in name else os.path.abspath(name))  # noqa: PTH100
    found = known.find(session, storable(name), path)
    if len(found) == 1:
        return found[0]
    raise _several(name, found) if found else _unknown(name, known.names(session))


def _unknown(name: str, names: Sequence[str]) -> UnknownName | NothingToDo:
    if not names:
        return NothingToDo("no video was ingested yet", hint="annotate ingest FOLDER-WITH-VIDEOS")
    stem = Path(name).stem
    close = get_close_matches(stem, names, n=3, cutoff=0.5)
    close = close or [known for known in names if stem and stem.lower() in known.lower()][:3]
    hint = "name its path, its file name, or the beginning of its sha256"
    if close:
        hint = f"did you mean {' or '.join(map(repr, close))}?"
    return UnknownName(f"no video is called {name!r}", hint=hint)


def _several(name: str, found: Sequence[FoundVideo]) -> UsageError:
    listed = ", ".join(f"{one.path} ({one.sha256[:12]})" for one in found[:LISTED])
    more = ", ..." if len(found) > LISTED else ""
    return UsageError(
        f"{counted(len(found), 'video')} are called {name!r}: {listed}{more}",
        hint="name the whole path, or the beginning of the sha256",
    )


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
