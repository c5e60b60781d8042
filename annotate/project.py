"""The open project: settings, folders, database and writer lock. Every step takes one."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Engine

from annotate.config import settings as config
from annotate.config.settings import Settings
from annotate.errors import ProjectBusy, ProjectNotFound, ReadOnlyProject, SchemaMismatch
from annotate.permissions import may_write
from annotate.storage.clips import ClipStore, clip_store
from annotate.types import SampleMedia
from db.engine import database_files, is_writable, open_engine, parse_url
from db.migrate import require_current


@dataclass(frozen=True)
class Project:
    """A folder with an `annotate.toml`."""

    root: Path
    settings: Settings

    @classmethod
    def open(cls, root: Path) -> "Project":
        """The project whose `annotate.toml` lies in `root`.

        Raises `ProjectNotFound`, or `ConfigError` when the file cannot be used.
        """
        root = root.resolve()
        if not (root / config.FILE_NAME).is_file():
            raise ProjectNotFound(
                f"no {config.FILE_NAME} in {root}", hint=f"run `annotate init {shlex.quote(str(root))}` first"
            )
        return cls(root, config.load(root / config.FILE_NAME))

    @classmethod
    def find(cls, start: Path) -> "Project":
        """Walk up from `start` to the folder that holds `annotate.toml`.

        Raises `ProjectNotFound`, or `ConfigError` when the file cannot be used.
        """
        start = start.resolve()
        for folder in (start, *start.parents):
            if (folder / config.FILE_NAME).is_file():
                return cls.open(folder)
        raise ProjectNotFound(
            f"no {config.FILE_NAME} in {start} or above it", hint="run `annotate init` first"
        )

    def overruled(self, section: str, **flags: object) -> "Project":
        """The same project with other settings in one section; flags that are None are ignored."""
        values = {name: value for name, value in flags.items() if value is not None}
        if not values:
            return self
        other = getattr(self.settings, section).model_copy(update=values)
        return Project(self.root, self.settings.model_copy(update={section: other}))

    @cached_property
    def engine(self) -> Engine:
        """The database.

        Raises `SchemaMismatch` when it is older or newer than the code, or not there.
        """
        files = database_files(self.database_url)
        if files and (not files[0].exists() or files[0].stat().st_size == 0):
            raise SchemaMismatch(
                f"the database {files[0]} is {'empty' if files[0].exists() else 'not there'}",
                hint="put it back, or a backup of it, then run `annotate pull --full`; "
                "`annotate migrate` makes a new one without samples and answers",
            )
        engine = open_engine(self.database_url)
        require_current(engine)
        return engine

    @property
    def database_url(self) -> str:
        """The configured URL, a relative SQLite path made absolute.

        Raises `ConfigError` for a URL that cannot be used.
        """
        url = parse_url(self.settings.database.url)
        if url.get_backend_name() == "sqlite":
            url = url.set(database=str(self.root / str(url.database)))
        return url.render_as_string(hide_password=False)

    @cached_property
    def read_only(self) -> str:
        """Which of the project's folder and its SQLite file cannot be written; empty when both can."""
        if not may_write(self.root):
            return f"the project folder {self.root}"
        return (
            "" if is_writable(self.database_url) else f"the database {database_files(self.database_url)[0]}"
        )

    def require_writable(self) -> None:
        """Raise `ReadOnlyProject` when the project's folder or database cannot be written."""
        if self.read_only:
            raise ReadOnlyProject(
                f"{self.read_only} cannot be written",
                hint="see who owns it, and that its disk is not mounted read-only; what only reads works all "
                "the same: `status`, `doctor`, `list`, `explain`, `next-batch --dry-run`, `export` "
                "into a folder elsewhere",
            )

    @contextmanager
    def writing(self, wait_seconds: float = 30) -> Iterator[None]:
        """Hold the project's writer lock: one writing command at a time.

        Raises `ReadOnlyProject`, and `ProjectBusy` when another command keeps it longer than `wait_seconds`.
        """
        self.require_writable()
        lock = FileLock(self.root / ".annotate.lock", mode=self.settings.storage.access.file_mode)
        try:
            lock.acquire(timeout=wait_seconds)
        except Timeout as error:
            raise ProjectBusy(
                f"another annotate command is writing to {self.root}",
                hint="wait for it to end, then run this again",
            ) from error
        try:
            yield
        finally:
            lock.release()

    @cached_property
    def clips(self) -> ClipStore:
        """Where the files of samples are kept.

        Raises `StorageError` when `storage.media` is a URL that cannot be used.
        """
        return clip_store(self.settings.storage.media, self.root)

    @property
    def media(self) -> Path:
        """What raters see and features are taken from, one folder per pass. With a URL, a cache of it."""
        return self.clips.folder

    @property
    def features(self) -> Path:
        """Feature shards, ``<modality>/<extractor>@<hash>/<shard>.safetensors``."""
        return self.root / "features"

    @property
    def models(self) -> Path:
        """Checkpoints, one folder per round."""
        return self.root / "models"

    @property
    def studio(self) -> Path:
        """The data of the local Label Studio."""
        return self.root / "studio"

    def sample_media(self, sample_id: str) -> SampleMedia:
        """Where the files of a sample lie, whether or not they exist yet; `clips.fetch` sees to it."""
        return SampleMedia.under(self.media, sample_id)
