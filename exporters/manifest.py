"""`manifest.json`: what a dataset holds, and the checksum of every file, to verify it anywhere."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from annotate import __version__
from annotate.types import Dataset, Dimension, Split

FILE_NAME = "manifest.json"
MADE_BY = "annotate"


def write_manifest(
    dataset: Dataset, folder: Path, files: Iterable[Path], *, format: str, features: Mapping[str, str]
) -> str:
    """Write the manifest of `files`, all under `folder`; `features` are those that went in, by short key.

    It holds neither times nor absolute paths: the same dataset gives the same bytes. Returns its sha256.
    """
    entries = []
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in files):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        entries.append({"path": name, "bytes": path.stat().st_size, "sha256": digest})
    content = {
        "made_by": MADE_BY,
        "version": __version__,
        "format": format,
        "project": dataset.name,
        "samples": samples_per_split(dataset),
        "labels": labels_per_task(dataset),
        "left_out": dict(sorted(dataset.left_out.items())),
        "dimensions": {
            dimension.name: {
                "kind": dimension.kind.value,
                "answers": [{"value": a.value, "label": a.label} for a in dimension.answers],
            }
            for dimension in dimensions(dataset)
        },
        "features": dict(sorted(features.items())),
        "files": entries,
    }
    data = (json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
    (folder / FILE_NAME).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


class DamagedManifest(ValueError):
    """A file that `write_manifest` wrote and somebody changed: it no longer lists files in its folder."""


def read_manifest(folder: Path) -> Mapping[str, Any] | None:
    """What `write_manifest` wrote into `folder`, or None when it holds no such thing.

    Raises `DamagedManifest` when it does not list its files, or lists some that lie elsewhere.
    """
    path = folder / FILE_NAME
    if path.is_symlink() or not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    except (ValueError, RecursionError) as error:
        raise DamagedManifest("it is not JSON") from error
    if not isinstance(content, dict) or content.get("made_by") != MADE_BY:
        return None
    _require_files(content.get("files"))
    return content


def _require_files(files: Any) -> None:
    if not isinstance(files, list):
        raise DamagedManifest("it has no list of files")
    for file in files:
        if not isinstance(file, dict):
            raise DamagedManifest(f"{file!r} stands in its list of files")
        name, sha256 = file.get("path"), file.get("sha256")
        if not isinstance(name, str) or not isinstance(sha256, str):
            raise DamagedManifest("a file in its list has no path or no sha256")
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name or "\\" in name:
            raise DamagedManifest(f"it lists {name!r}, which is no path below its folder")


def samples_per_split(dataset: Dataset) -> dict[str, int]:
    """How many rows each split has, train first."""
    counts = Counter(row.split for row in dataset.rows)
    return {split.value: counts[split] for split in Split}


def labels_per_task(dataset: Dataset) -> dict[str, int]:
    """How many rows have a label for each task that every row has, and for those that only some have."""
    counts = Counter(task for row in dataset.rows for task in row.labels)
    first = [task.id for task in dataset.tasks]
    return {task: counts[task] for task in [*first, *sorted(set(counts) - set(first))]}


def dimensions(dataset: Dataset) -> list[Dimension]:
    """The dimensions that are judged, each once, in the project's order."""
    return list(dict.fromkeys(task.dimension for task in dataset.tasks))
