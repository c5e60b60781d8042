"""Write the finished dataset in one format."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from annotate.corpus.clips import require_clips
from annotate.corpus.gaps import gap_warnings
from annotate.datasets.build import finished_dataset
from annotate.datasets.replace_export import all_or_nothing, recover, require_replaceable
from annotate.errors import ExportError, NothingToDo, UsageError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.registry import EXPORTERS
from annotate.steps._next import next_command
from annotate.temporary import is_temporary
from db.dataset import record_export
from db.engine import reading, writing
from exporters.manifest import samples_per_split, write_manifest


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The dataset that was written."""

    format: str
    path: Path
    samples: Mapping[str, int]
    """By split."""
    left_out: Mapping[str, int]
    """By reason."""
    manifest_sha256: str
    files: int
    warnings: list[str]
    next: str


def export(project: Project, *, format: str, dest: Path, progress: Progress = SILENT) -> ExportReport:
    """Write every finished sample to the folder `dest`, all or nothing; an earlier export there is replaced.

    Raises `UnknownName` for an unknown format, `UsageError` when `dest` holds something else, `NothingToDo`
    when no sample is finished, `ExportError` when the format cannot hold the dataset or `dest` cannot be
    written, `FeatureError` when features that the format needs are missing.
    """
    exporter = EXPORTERS.get(format)()
    try:
        dest = dest.expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{dest} is a link that leads nowhere", hint="name another folder") from error
    lock = nullcontext() if project.read_only else project.writing()
    with lock, progress.bar(f"export {format}", None) as bar, _explain_os_errors(dest):
        recover(dest)
        earlier = require_replaceable(dest, format, project.settings.project.name)
        try:
            dataset, features = finished_dataset(project, bar)
        except NothingToDo as nothing:
            nothing.hint = nothing.hint or f"run `{next_command(project)}`"
            raise
        if exporter.needs_clips:
            require_clips(project, [row.sample_id for row in dataset.rows])
        with all_or_nothing(dest, earlier) as folder:
            files = exporter.write(dataset, folder)
            bar.advance(0, "checksums")
            used = {m.value: dataset.feature_names[m] for m, reader in features.items() if reader.used}
            digest = write_manifest(dataset, folder, files, format=format, features=used)
            storage = project.settings.storage
            if "access" in storage.model_fields_set:  # otherwise the umask decides
                for path in (folder, *folder.rglob("*")):
                    path.chmod(storage.access.folder_mode if path.is_dir() else storage.access.file_mode)
        if not project.read_only:
            with writing(project.engine) as session:
                record_export(
                    session, format=format, path=str(dest), manifest_sha256=digest, samples=len(dataset.rows),
                    detail={"samples": samples_per_split(dataset), "left_out": dict(dataset.left_out)},
                )  # fmt: skip
    with reading(project.engine) as session:
        warnings = gap_warnings(project, session) if dataset.left_out.get("partly labelled") else []
    following = next_command(project)
    if following.startswith("annotate export"):
        following = ""  # the dataset is complete
    return ExportReport(
        format=format,
        path=dest,
        samples=samples_per_split(dataset),
        left_out=dataset.left_out,
        manifest_sha256=digest,
        files=len(files) + 1,
        warnings=warnings,
        next=following,
    )


@contextmanager
def _explain_os_errors(dest: Path) -> Iterator[None]:
    """Turn errors of the operating system about `dest` into an `ExportError`."""
    try:
        yield
    except OSError as error:
        path = Path(os.fsdecode(error.filename)) if error.filename else dest
        written = path.is_relative_to(dest) or dest.is_relative_to(path)
        if not written and not any(is_temporary(p) for p in (path, *path.parents)):
            raise ExportError(
                f"{path} cannot be read: {error.strerror}", hint="see who owns it; nothing was changed"
            ) from error
        raise ExportError(
            f"{dest} cannot be written: {error.strerror or error}",
            hint="nothing was changed; make sure that the disk has room and that the folder is yours",
        ) from error
