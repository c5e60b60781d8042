"""Finds the video or sample that a name on the command line refers to."""

import os
from difflib import get_close_matches
from pathlib import Path

from annotate.corpus.paths import path_key, storable
from annotate.errors import NothingToDo, UnknownName, UsageError
from annotate.wording import counted
from db import explain, samples
from db.engine import Session
from db.explain import FoundVideo

SHORTEST_PREFIX = 4
"""Shortest prefix of a sample id that is accepted as a name."""
LISTED = 5


def one_video(session: Session, name: str) -> FoundVideo:
    """The video called `name`: a path, a file name with or without suffix, or a prefix of a sha256.

    Raises `UnknownName` for an unknown video, `UsageError` with the candidates if several match, and
    `NothingToDo` when the project has no video.
    """
    # Not resolved: a link is known by its own path.
    path = path_key(name if "://" in name else os.path.abspath(name))  # noqa: PTH100
    matches = explain.find(session, storable(name), path)
    if len(matches) == 1:
        return matches[0]
    if not matches:
        names, stem = explain.names(session), Path(name).stem
        if not names:
            raise NothingToDo("no video was ingested yet", hint="annotate ingest FOLDER-WITH-VIDEOS")
        close = get_close_matches(stem, names, n=3, cutoff=0.5)
        close = close or [one for one in names if stem and stem.lower() in one.lower()][:3]
        hint = "name its path, its file name, or the beginning of its sha256"
        if close:
            hint = f"did you mean {' or '.join(map(repr, close))}?"
        raise UnknownName(f"no video is called {name!r}", hint=hint)
    listed = ", ".join(f"{one.path} ({one.sha256[:12]})" for one in matches[:LISTED])
    more = ", ..." if len(matches) > LISTED else ""
    raise UsageError(
        f"{counted(len(matches), 'video')} are called {name!r}: {listed}{more}",
        hint="name the whole path, or the beginning of the sha256",
    )


def one_sample(session: Session, name: str) -> str:
    """The id of the sample called `name`, which is an id or a prefix of at least `SHORTEST_PREFIX`
    characters.

    Raises `UnknownName` for an unknown sample, `UsageError` with the candidates if several match, and
    `NothingToDo` when the project has no sample.
    """
    prefix = name.strip().lower()
    matches = samples.ids_like(session, prefix) if len(prefix) >= SHORTEST_PREFIX else []
    if prefix in matches:
        return prefix
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = ", ".join(matches[:LISTED]) + (", ..." if len(matches) > LISTED else "")
        raise UsageError(
            f"{counted(len(matches), 'sample')} begin with {name!r}: {listed}", hint="type more of the id"
        )
    if not samples.any_there(session):
        raise NothingToDo("there are no samples yet", hint="annotate ingest FOLDER-WITH-VIDEOS")
    raise UnknownName(
        f"no sample is called {name!r}",
        hint=f"`annotate samples list` shows ids; {SHORTEST_PREFIX} characters of one may be enough",
    )
