"""The annotate project that a history is played on, and its database, which can be put back, too."""

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import SecretStr

from annotate.project import Project
from annotate.steps.init import init
from annotate.types import UNIMODAL, Modality, Split
from db.engine import writing
from tests.histories.history import PASSES, SAMPLES
from tests.support.factories import add_sample, add_video
from tests.support.material import store
from tests.support.postgres import administrator, database_url, run_sql, unique

SPLITS = (Split.TRAIN, Split.VALID, Split.TEST)
"""Of the videos: with three samples or fewer in train no model is ever trained, which would take long."""


class Database(Protocol):
    url: str | None
    """None: the project's own SQLite file."""

    def back_up(self) -> None: ...

    def restore(self) -> None:
        """Nobody is connected. Without a backup there is nothing to do."""

    def lose_wal(self) -> None:
        """What was committed and not yet moved into the main file is gone; Postgres has no such file."""


@dataclass
class SqliteDatabase:
    path: Path
    url: str | None = None

    @property
    def _backup(self) -> Path:
        return self.path.with_name("backup.db")

    def back_up(self) -> None:
        shutil.copyfile(self.path, self._backup)

    def restore(self) -> None:
        if self._backup.exists():
            self.lose_wal()
            shutil.copyfile(self._backup, self.path)

    def lose_wal(self) -> None:
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


@dataclass
class PostgresDatabase:
    server: str
    """URL of the database `postgres` there."""
    name: str

    @property
    def url(self) -> str:
        return database_url(self.server, self.name)

    def back_up(self) -> None:
        self._make(f"{self.name}_backup", self.name)

    def restore(self) -> None:
        if self._has(f"{self.name}_backup"):
            self._make(self.name, f"{self.name}_backup")

    def lose_wal(self) -> None:
        pass

    def copy_of(self, template: str) -> None:
        self._make(self.name, template)

    def drop(self) -> None:
        for name in (self.name, f"{self.name}_backup"):
            self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _make(self, name: str, template: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")

    def _has(self, name: str) -> bool:
        return bool(self._run(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"))

    def _run(self, statement: str) -> list[object]:
        with administrator(self.server) as engine:
            return run_sql(engine, statement)


@dataclass(frozen=True)
class Corpus:
    """A project with samples, clips and features that nobody was asked about; histories work on copies."""

    root: Path
    database: str | None
    """Name of the Postgres database."""
    postgres: Callable[[str], PostgresDatabase]

    def copy(self, folder: Path, name: str) -> tuple[Project, Database]:
        """`name` is the project's."""
        shutil.copytree(self.root, folder)
        database: Database = SqliteDatabase(folder / "annotate.db")
        if self.database is not None:
            database = self.postgres(unique("history"))
            database.copy_of(self.database)
        return _renamed(Project.open(folder), name, database.url), database


def make_corpus(folder: Path, postgres: PostgresDatabase | None) -> Corpus:
    """Raises whatever goes wrong; Postgres when `postgres` names an empty database."""
    init(folder, preset="ch-sims", database=None if postgres is None else postgres.url)
    project = Project.open(folder)
    ids = _add_samples(project)
    rng = np.random.default_rng(0)
    store(project, {m: [(i, rng.normal(size=(3, 4)).astype(np.float32)) for i in ids] for m in UNIMODAL})
    project.engine.dispose()
    if postgres is None:
        return Corpus(folder, None, lambda name: PostgresDatabase("", name))
    return Corpus(folder, postgres.name, lambda name: PostgresDatabase(postgres.server, name))


def _add_samples(project: Project) -> list[str]:
    with writing(project.engine) as session:
        videos = [add_video(session, f"talk {s}", speaker=f"speaker {s}", split=s) for s in SPLITS]
        ids = [
            add_sample(session, videos[i % len(videos)], start=3.0 * i, text=f"words {i}").id
            for i in range(SAMPLES)
        ]
    for sample_id in ids:
        media = project.sample_media(sample_id)
        for file in (media.clip, media.audio, media.silent):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
    return ids


def _renamed(project: Project, name: str, database_url: str | None) -> Project:
    settings = project.settings
    changes = {
        "project": settings.project.model_copy(update={"name": name}),
        "protocol": settings.protocol.model_copy(update={"passes": tuple(Modality(m) for m in PASSES)}),
        "batch": settings.batch.model_copy(
            update={"holdout_share": 0.6, "audit_share": 0.0, "cold_start": "uniform"}
        ),
    }
    if database_url is not None:
        changes["database"] = settings.database.model_copy(update={"url": database_url})
    return dataclasses.replace(project, settings=settings.model_copy(update=changes))


def asking(project: Project, raters: int, url: str, token: str) -> Project:
    """The same project, without an open database, asking so many people on this server."""
    settings = project.settings
    there = settings.labelstudio.model_copy(update={"url": url, "token": SecretStr(token)})
    protocol = settings.protocol.model_copy(update={"raters": raters})
    changed = settings.model_copy(update={"labelstudio": there, "protocol": protocol})
    return dataclasses.replace(project, settings=changed)
