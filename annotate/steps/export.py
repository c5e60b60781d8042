"""Write the finished dataset in one format."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotate.durable import sync
from annotate.errors import ExportError, UsageError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.registry import EXPORTERS
from annotate.steps._clips import require_clips
from annotate.steps._dataset import finished_dataset
from annotate.steps.status import next_command
from db.dataset import record_export
from db.engine import writing
from exporters._manifest import FILE_NAME, read_manifest, samples_per_split, write_manifest


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Which dataset lies where."""

    format: str
    path: Path
    samples: Mapping[str, int]
    """By split."""
    left_out: Mapping[str, int]
    """By reason."""
    manifest_sha256: str
    files: int
    next: str


def export(project: Project, *, format: str, dest: Path, progress: Progress = SILENT) -> ExportReport:
    """Write every finished sample to the folder `dest`, all or nothing; an earlier export there is replaced.

    Raises `UnknownName` for another format, `UsageError` when `dest` holds something else, `NothingToDo`
    when no sample is finished, `ExportError` when the format cannot hold the dataset or `dest` cannot be
    written, `FeatureError` when features that the format needs are missing.
    """
    exporter = EXPORTERS.get(format)()
    dest = dest.resolve()
    with project.writing(), progress.bar(f"export {format}", None) as bar:
        _require_free(dest, format, project.settings.project.name)
        dataset, features = finished_dataset(project, bar)
        if exporter.needs_clips:
            require_clips(project, [row.sample_id for row in dataset.rows])
        with _all_or_nothing(dest) as folder:
            files = exporter.write(dataset, folder)
            bar.advance(0, "checksums")
            used = {m.value: dataset.feature_names[m] for m, reader in features.items() if reader.used}
            digest = write_manifest(dataset, folder, files, format=format, features=used)
        with writing(project.engine) as session:
            record_export(
                session, format=format, path=str(dest), manifest_sha256=digest, samples=len(dataset.rows),
                detail={"samples": samples_per_split(dataset), "left_out": dict(dataset.left_out)},
            )  # fmt: skip
    following = next_command(project)
    if following.startswith("annotate export"):
        following = ""  # nothing is missing any more
    return ExportReport(
        format=format,
        path=dest,
        samples=samples_per_split(dataset),
        left_out=dataset.left_out,
        manifest_sha256=digest,
        files=len(files) + 1,
        next=following,
    )


def _require_free(dest: Path, format: str, name: str) -> None:
    """Raise `UsageError` unless nothing would be lost by writing to `dest`."""
    choose = "choose a folder that does not exist yet"
    if not dest.exists():
        return
    if not dest.is_dir():
        raise UsageError(f"{dest} is a file", hint=choose)
    if not any(dest.iterdir()):
        return
    manifest = read_manifest(dest)
    if manifest is None or (manifest.get("format"), manifest.get("project")) != (format, name):
        raise UsageError(
            f"{dest} is not empty, and holds no earlier {format} export of this project", hint=choose
        )
    found = {p.relative_to(dest).as_posix() for p in dest.rglob("*") if p.is_symlink() or not p.is_dir()}
    foreign = sorted(found - {FILE_NAME} - {file["path"] for file in manifest["files"]})
    if foreign:
        raise UsageError(
            f"{dest} holds files that no export wrote, such as {foreign[0]!r}",
            hint=f"move them away, or {choose}",
        )


@contextmanager
def _all_or_nothing(dest: Path) -> Iterator[Path]:
    """A folder that takes the name `dest` when the block ends well; until then an earlier one keeps it.

    Killed at any moment it leaves under `dest` the old folder, the new one, or none; never a half.
    """
    partial, old = (dest.with_name(f".{dest.name}.{ending}") for ending in ("part", "old"))
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        if old.exists() and not dest.exists():
            old.rename(dest)  # killed between the two renames below
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        yield partial
        _to_disk(partial)
        if dest.exists():
            dest.rename(old)
        partial.rename(dest)
        sync(dest.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise ExportError(
            f"{dest} cannot be written: {error.strerror or error}",
            hint="nothing was changed; see that the disk has room and the folder is yours, then go again",
        ) from error
    finally:
        if old.exists() and not dest.exists():
            old.rename(dest)
        shutil.rmtree(partial, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    """Make sure that every file is on the disk before the folder gets its name."""
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)
