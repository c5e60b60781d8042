"""Start a project: write a commented `annotate.toml` and its database."""

import json
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from annotate.config import settings as config
from annotate.durable import write_whole
from annotate.errors import UnknownName, UsageError
from annotate.permissions import Access, make_folder
from annotate.project import Project
from db.engine import address, create_file, has_password, open_engine
from db.migrate import upgrade

PRESETS = Path(__file__).parent.parent / "presets"


@dataclass(frozen=True, slots=True)
class InitReport:
    """The new project and its tasks."""

    project: Path
    preset: str
    database: str
    tasks: tuple[str, ...]
    next: str


def presets() -> list[str]:
    """The names of the presets."""
    return sorted(p.stem for p in PRESETS.glob("*.toml") if not p.stem.startswith("_"))


def init(folder: Path, *, preset: str, name: str | None = None, database: str | None = None) -> InitReport:
    """Make `folder` a project with the dimensions of `preset`.

    Raises `UnknownName` for an unknown preset, `UsageError` when `folder` is a project already.
    """
    if preset not in presets():
        close = get_close_matches(preset, presets(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(presets())}"
        raise UnknownName(f"no preset is called {preset!r}", hint=hint)
    if database and has_password(database):
        raise UsageError(
            "the database URL holds a password, and annotate.toml must not hold one",
            hint="leave it out and use ~/.pgpass, PGPASSWORD, or ANNOTATE_DATABASE__URL",
        )
    content = (PRESETS / f"{preset}.toml").read_text(encoding="utf-8")
    content += (PRESETS / "_common.toml").read_text(encoding="utf-8")
    values = {"{name}": name or folder.resolve().name, "{database}": database or "sqlite:///annotate.db"}
    for key, value in values.items():
        # A JSON string is a TOML basic string too: quotes and backslashes arrive escaped.
        content = content.replace(key, json.dumps(value, ensure_ascii=False)[1:-1])
    settings = config.parse(tomllib.loads(content), where=config.FILE_NAME)
    path = _new_file(folder, settings.storage.access)
    project = Project(folder.resolve(), settings)
    access = settings.storage.access
    create_file(project.database_url, access.file_mode)
    engine = open_engine(project.database_url)
    upgrade(engine)
    engine.dispose()
    # The file comes last: a folder with an annotate.toml always has its database.
    write_whole(path, content.encode(), access.file_mode)
    return InitReport(
        project=project.root,
        preset=preset,
        database=address(engine.url),
        tasks=tuple(task.id for task in project.settings.tasks()),
        next="annotate ingest FOLDER-WITH-VIDEOS",
    )


def _new_file(folder: Path, access: Access) -> Path:
    """Path of the settings file, in a folder that exists now and is not a project yet.

    A folder that was not there or is empty gets the permissions of `access`; one with other files keeps its
    own, because others may use those.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        make_folder(folder, access.folder_mode)
        if not any(folder.iterdir()):
            with suppress(OSError):  # owned by another user, or on a file system without permissions
                folder.chmod(access.folder_mode)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder} is a file", hint="name a folder") from error
    except FileNotFoundError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}", hint="name another folder") from error
    path = folder / config.FILE_NAME
    if path.exists():
        raise UsageError(f"{path} exists already", hint="edit it, or choose another folder")
    return path
