"""Removes leftovers of killed trainings from the folder of models."""

import secrets
import time
from contextlib import suppress
from pathlib import Path

from annotate import temporary
from annotate.permissions import make_folder
from annotate.project import Project
from db.engine import reading
from db.rounds import model_folders, next_round_id

UNFINISHED = ".unfinished"
"""Folder beside the models that holds the states of unfinished trainings."""
STALE_SECONDS = 86400.0
"""Age from which on the state of an unfinished training is deleted."""


def forget_unfinished(project: Project, done: Path) -> None:
    """Remove the resume state of this training, and stale states of others."""
    from annotate.learning.resume import delete_states

    for folder in (project.models / UNFINISHED).glob("*"):
        if folder == done or time.time() - folder.stat().st_mtime > STALE_SECONDS:
            delete_states(folder)
    with suppress(OSError):  # another training keeps its state there, or there never was one
        (project.models / UNFINISHED).rmdir()


def sweep_models(project: Project) -> str:
    """Remove leftovers of killed trainings that belong to no round; the name of the next model folder."""
    from annotate.learning.checkpoint import claim, delete_unclaimed

    with reading(project.engine) as session:
        owned = model_folders(session)
        name = f"{next_round_id(session):04d}"
    make_folder(project.models)
    temporary.sweep(project.models.glob(temporary.PATTERN))
    for folder in project.models.iterdir():
        if folder.name in owned:
            claim(folder)  # killed between its row and this
        else:
            delete_unclaimed(folder)
    # A folder without our mark may be anybody's, or a model that an older copy of the database does not know.
    return name if not (project.models / name).exists() else f"{name}-{secrets.token_hex(4)}"
