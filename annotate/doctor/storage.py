"""Checks of where a project keeps its files: space, permissions, the writer lock and the media root."""

import shlex
import shutil
import tempfile
from pathlib import Path

from annotate.config.settings import FILE_NAME
from annotate.doctor.findings import Finding, State
from annotate.errors import ProjectBusy, ReadOnlyProject
from annotate.project import Project
from db.engine import database_files

FEW_BYTES = 2_000_000_000
"""Less free space than this is a warning."""
NO_BYTES = 100_000_000
"""Less than this is a failure."""


def disk(folder: Path) -> Finding:
    """There is space for clips and features."""
    free = shutil.disk_usage(folder).free
    room = f"{free / 1e9:.1f} GB free at {folder}"
    if free < FEW_BYTES:
        return Finding(
            State.FAIL if free < NO_BYTES else State.WARN, room, "free some space before the next ingest"
        )
    return Finding(State.OK, room)


def lock(project: Project) -> Finding:
    """No other command writes at present."""
    if project.read_only:
        return Finding(State.OK, "not needed: the project can only be read")
    try:
        with project.writing(wait_seconds=0):
            return Finding(State.OK, "free")
    except ProjectBusy as error:
        return Finding(State.WARN, str(error), error.hint)


def permissions(project: Project) -> Finding:
    """Only those whom `storage.access` names can use the project's files."""
    access = project.settings.storage.access
    own = [project.media, project.features, project.models, project.studio]
    files = [*database_files(project.database_url), project.root / FILE_NAME]
    present = [path for path in (project.root, *own, *files) if path.exists()]
    wide = [str(path) for path in present if access.too_wide(path)]
    narrow = [path for path in present if path != project.studio and access.too_narrow(path)]
    if wide:
        names = " ".join(map(shlex.quote, wide))
        more = ", ..." if len(wide) > 3 else ""
        return Finding(
            State.WARN,
            f"others on this machine can open {', '.join(wide[:3])}{more}",
            f"chmod -R {access.chmod_less} {names}; or see storage.access, if they should",
        )
    if narrow:
        names = shlex.quote(str(project.root))
        return Finding(
            State.WARN,
            f'storage.access is "{access}", and others cannot use {narrow[0]}',
            f"chmod -R {access.chmod_more} {names} && find {names} -type d -exec chmod g+s {{}} +",
        )
    return Finding(State.OK, f"files are open to: {access}")


def folders(project: Project) -> Finding:
    """Clips, features and models can be written."""
    if project.read_only:
        try:
            project.require_writable()
        except ReadOnlyProject as error:
            return Finding(State.WARN, str(error), error.hint)
    for folder in (project.root, project.media, project.features, project.models):
        if not folder.exists():
            continue
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            return Finding(
                State.FAIL,
                f"{folder} cannot be written: {error.strerror}",
                f"chown or chmod u+rwx '{folder}'",
            )
    return Finding(State.OK, f"{project.root} can be written")


def media_root(project: Project) -> Finding:
    """Files below the URL of the media root can be written, read and deleted."""
    project.clips.check()
    return Finding(State.OK, f"{project.clips.url or project.media} can be used")
