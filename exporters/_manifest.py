"""`manifest.json`: what a dataset holds, and the checksum of every file, to verify it anywhere."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
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
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    content = {
        "made_by": MADE_BY,
        "version": __version__,
        "format": format,
        "project": dataset.name,
        "samples": samples_per_split(dataset),
        "labels": labels_per_task(dataset),
        "left_out": dict(sorted(dataset.left_out.items())),
        "dimensions": {d.name: _dimension(d) for d in dimensions(dataset)},
        "features": dict(sorted(features.items())),
        "files": [_file(folder, name) for name in names],
    }
    data = (json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
    (folder / FILE_NAME).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def read_manifest(folder: Path) -> Mapping[str, Any] | None:
    """What `write_manifest` wrote into `folder`, or None when it holds no such thing."""
    try:
        content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(content, dict) and content.get("made_by") == MADE_BY
    return content if ours else None


def samples_per_split(dataset: Dataset) -> dict[str, int]:
    """How many rows each split has, train first."""
    counts = Counter(row.split for row in dataset.rows)
    return {split.value: counts[split] for split in Split}


def labels_per_task(dataset: Dataset) -> dict[str, int]:
    """How many rows have a label for each task that every row has, and for those that only some have."""
    found = Counter(task for row in dataset.rows for task in row.labels)
    first = [task.id for task in dataset.tasks]
    return {task: found[task] for task in [*first, *sorted(set(found) - set(first))]}


def dimensions(dataset: Dataset) -> list[Dimension]:
    """The dimensions that are judged, each once, in the project's order."""
    return list(dict.fromkeys(task.dimension for task in dataset.tasks))


def _dimension(dimension: Dimension) -> dict[str, Any]:
    return {
        "kind": dimension.kind.value,
        "answers": [{"value": a.value, "label": a.label} for a in dimension.answers],
    }


def _file(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"path": name, "bytes": path.stat().st_size, "sha256": digest}
