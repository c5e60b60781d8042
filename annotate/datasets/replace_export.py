"""Replaces an earlier export by a new one, without a moment at which either could be lost."""

import hashlib
import json
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate import temporary
from annotate.durable import sync, write_whole
from annotate.errors import ExportError, UsageError
from exporters.manifest import FILE_NAME, DamagedManifest, read_manifest

NEW, OLD, RECORD = "new", "old", "export.json"
"""Names in the temporary folder beside a destination: the new export, the old export, and the file with the
name of the destination, with which the next export restores the old one after a kill."""
_CHOOSE = "choose a folder that does not exist yet"


@dataclass(frozen=True, slots=True)
class Earlier:
    """The earlier export at the destination, which may be replaced."""

    files: Mapping[str, tuple[int, int]]
    """Size and modification time of every file of the earlier export, by relative path."""


def require_replaceable(dest: Path, format: str, project: str) -> Earlier:
    """The export that the one to `dest` replaces: none, or an unchanged one of the same format and project.

    Raises `UsageError` when `dest` contains anything else, or files that were changed or added since.
    """
    if not dest.exists():
        return Earlier({})
    if not dest.is_dir():
        raise UsageError(f"{dest} is a file", hint=_CHOOSE)
    present = {p.relative_to(dest).as_posix(): p for p in dest.rglob("*") if p.is_symlink() or not p.is_dir()}
    if not present and not any(dest.iterdir()):
        return Earlier({})
    manifest = _manifest(dest)
    if manifest is None or (manifest.get("format"), manifest.get("project")) != (format, project):
        raise UsageError(
            f"{dest} is not empty, and holds no earlier {format} export of this project", hint=_CHOOSE
        )
    written = {file["path"]: file["sha256"] for file in manifest["files"]}
    foreign = sorted(present.keys() - {FILE_NAME} - written.keys())
    if foreign:
        raise UsageError(
            f"{dest} holds files that no export wrote, such as {foreign[0]!r}",
            hint=f"move them away, or {_CHOOSE}",
        )
    changed = [
        name
        for name in sorted(written.keys() & present.keys())
        if not _has_hash(present[name], written[name])
    ]
    if changed:
        raise UsageError(
            f"files in {dest} were changed since they were exported, such as {changed[0]!r}",
            hint=f"move them away, or {_CHOOSE}",
        )
    return Earlier({name: _stamp(path) for name, path in present.items()})


def _manifest(dest: Path) -> Mapping[str, Any] | None:
    try:
        return read_manifest(dest)
    except DamagedManifest as error:
        raise UsageError(
            f"{dest / FILE_NAME} is damaged: {error}; the files of the earlier export are unknown",
            hint=f"restore that file from a copy, or {_CHOOSE}",
        ) from error


def _has_hash(path: Path, sha256: str) -> bool:
    """Whether `path` is a plain file with that hash. Raises `UsageError` when it cannot be read."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_CHOOSE) from error


def _stamp(path: Path) -> tuple[int, int]:
    stat_result = path.lstat()
    return stat_result.st_size, stat_result.st_mtime_ns


@contextmanager
def all_or_nothing(dest: Path, earlier: Earlier) -> Iterator[Path]:
    """A folder that is renamed to `dest` when the block ends without error; until then `earlier` stays.

    If it is killed, `dest` is the old folder, the new one, or missing; then `recover` restores the old one.
    Raises `OSError` when the folder cannot be written, and `ExportError` when `dest` changed meanwhile.
    """
    scratch = dest.with_name(temporary.temporary_name())
    new, old = scratch / NEW, scratch / OLD
    dest.parent.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(mode=0o700)
    try:
        write_whole(scratch / RECORD, json.dumps({"dest": dest.name}).encode())
        new.mkdir()
        yield new
        for path in sorted(new.rglob("*")):
            sync(path)
        sync(new)
        if dest.exists():
            new.chmod(stat.S_IMODE(dest.stat().st_mode))
            dest.rename(old)
        new.rename(dest)
        sync(dest.parent)
        _delete_earlier(old, earlier)
    finally:
        _put_back(old, dest)
        kept = _discard(scratch, dest)
        if kept is not None:
            raise ExportError(
                f"{dest} changed while the export was written; its earlier content is in {kept} now",
                hint=f"look into both: only unchanged files of the earlier export were deleted "
                f"in {kept.name}",
            )


def recover(dest: Path) -> None:
    """Restore the exports that killed exports beside `dest` had moved aside, and delete their leftovers.

    Only folders that an export marked as its own are touched. Raises `OSError`.
    """
    for scratch in dest.parent.glob(temporary.PATTERN):
        name = _recorded_destination(scratch)
        if name is None or (temporary.is_of_this_machine(scratch) and not temporary.is_abandoned(scratch)):
            continue
        # An export of another machine may still be running; restoring its old export does no harm.
        _put_back(scratch / OLD, scratch.with_name(name))
        if temporary.is_abandoned(scratch):
            with suppress(UsageError):
                manifest = _manifest(scratch / OLD) or {"format": "", "project": ""}
                _delete_earlier(
                    scratch / OLD, require_replaceable(scratch / OLD, manifest["format"], manifest["project"])
                )
            _discard(scratch, scratch.with_name(name))


def _recorded_destination(scratch: Path) -> str | None:
    """The name of the destination beside an export's temporary folder; None for any other path."""
    if not temporary.is_temporary(scratch) or scratch.is_symlink():
        return None
    try:
        name = json.loads((scratch / RECORD).read_bytes())["dest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and Path(name).name == name else None


def _put_back(old: Path, dest: Path) -> None:
    if old.exists() and not dest.exists() and not dest.is_symlink():
        old.rename(dest)


def _delete_earlier(old: Path, earlier: Earlier) -> None:
    """Delete the files of an export in `old`; files that were added or changed since then stay."""
    for name, stamp in earlier.files.items():
        path = old / name
        with suppress(FileNotFoundError):
            if _stamp(path) == stamp:
                path.unlink()
    folders = [path for path in old.rglob("*") if path.is_dir() and not path.is_symlink()]
    for folder in sorted([old, *folders], reverse=True):
        with suppress(OSError):  # it contains files that stay
            folder.rmdir()


def _discard(scratch: Path, dest: Path) -> Path | None:
    """Delete an export's temporary folder; returns where other files from the old export are now, if any."""
    kept = None
    if (scratch / OLD).exists():
        kept = dest.with_name(f"{dest.name}.kept-{secrets.token_hex(4)}")
        (scratch / OLD).rename(kept)
    shutil.rmtree(scratch, ignore_errors=True)
    return kept
