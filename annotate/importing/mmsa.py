"""Reads the feature pickle that MMSA trains on, without trusting it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import CorpusError, UsageError
from annotate.importing import _unpickle
from annotate.importing.answers import stored
from annotate.importing.arrays import ArrayFrames
from annotate.importing.columns import fingerprint
from annotate.importing.corpus import Corpus, Frames, Utterance, Vote
from annotate.importing.table import SPLITS, to_split
from annotate.types import UNIMODAL, Dimension, Kind, Modality, Task

BETWEEN = "$_$"
"""Stands between the names of the video and the clip in an id."""
_ROOM = 2.5
"""Times its size that a file may take while it is read."""
_SECONDS = 60
_BYTES_PER_SECOND = 5_000_000
"""How fast the slowest machine reads."""
_DIED_OF_MEMORY = "MemoryError"
_NO_ROOM = "No space left on device"


@contextmanager
def read_mmsa(path: Path, tasks: Sequence[Task], dimension: str, memory_gb: float) -> Iterator[Corpus]:
    """What the file holds; its arrays lie in a folder that is gone when the block ends.

    `dimension` names what its labels are about; empty: the only dimension of `tasks` with numbers. Raises
    `UsageError` for a file that is not there or a dimension that cannot be, `CorpusError` for one that is no
    such pickle, holds anything but arrays, text and numbers, or takes more than `memory_gb` (1e9 bytes) of
    memory, or of temporary files together.
    """
    judged = _dimension(tasks, dimension)
    _require_room(path, memory_gb)
    sha256 = fingerprint(path)
    with tempfile.TemporaryDirectory(prefix="annotate-import-") as folder:
        _unpickle_apart(path, Path(folder), memory_gb)
        told = json.loads((Path(folder) / "parts.json").read_text(encoding="utf-8"))
        yield _corpus(
            path, sha256, [_Part(Path(folder), i, **one) for i, one in enumerate(told)], tasks, judged
        )


def _dimension(tasks: Sequence[Task], name: str) -> Dimension:
    known = list(dict.fromkeys(t.dimension for t in tasks if t.dimension.kind is Kind.REGRESSION))
    found = [d for d in known if d.name == name or not name]
    if len(found) != 1:
        listed = ", ".join(d.name for d in known) or "none"
        which = f"are called {name!r}" if name else "are in this project"
        raise UsageError(
            f"{len(found)} dimensions with numbers {which}",
            hint=f"say --dimension NAME; known: {listed}",
        )
    return found[0]


def _require_room(path: Path, memory_gb: float) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size * _ROOM > memory_gb * 1e9:
        raise CorpusError(
            f"{path} has {size / 1e9:.2g} GB, too many for a reader that may use {memory_gb:g} GB of memory",
            hint=f"say --memory {int(size * _ROOM / 1e9) + 1} if this machine has so much",
        )


def _unpickle_apart(path: Path, folder: Path, memory_gb: float) -> None:
    """Read the file in a process that can neither use more memory or time, nor build anything."""
    memory, size = int(memory_gb * 1e9), path.stat().st_size
    seconds = _SECONDS + size // _BYTES_PER_SECOND
    try:
        done = subprocess.run(
            [sys.executable, "-I", _unpickle.__file__, path.resolve(), folder, str(memory), str(seconds)],
            capture_output=True, text=True, errors="replace", check=False, cwd=folder, timeout=10 * seconds,
            env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _refused(path, "reading it takes too long") from None
    if done.returncode == _unpickle.REFUSED:
        raise _refused(path, done.stdout.strip())
    if done.returncode == _unpickle.TOO_LARGE:
        needed = int(done.stdout) / 1e9
        raise CorpusError(
            f"{path} holds more than {memory_gb:g} GB: its arrays and texts take {needed:.3g} GB of "
            "temporary files or more",
            hint=f"say --memory {int(needed) + 1} if this machine and {folder.parent} have so much room",
        )
    if done.returncode:
        if _NO_ROOM in done.stderr:
            raise CorpusError(
                f"there is no room in {folder.parent} for the arrays of {path}",
                hint="free some, or set TMPDIR to a folder on a disk that has it",
            )
        if _DIED_OF_MEMORY in done.stderr:
            raise CorpusError(
                f"{path} takes more than {memory_gb:g} GB of memory to read",
                hint=f"say --memory {2 * memory_gb:g}",
            )
        raise _refused(path, done.stderr.strip().rsplit("\n", 1)[-1] or "its reader was stopped")


def _refused(path: Path, why: str) -> CorpusError:
    return CorpusError(
        f"{path} was not read: {why}",
        hint="only a whole MMSA feature file is, of arrays, text and numbers; get it from its makers again",
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One split of the file."""

    folder: Path
    number: int
    name: str
    texts: dict[str, list[str]]
    arrays: list[str]

    def array(self, key: str) -> NDArray[Any] | None:
        """Left on the disk until its rows are asked for."""
        if key not in self.arrays:
            return None
        return np.load(self.folder / f"{self.number}.{key}.npy", mmap_mode="r", allow_pickle=False)

    def samples(self) -> int:
        return len(self.texts["id"])


@dataclass(frozen=True, slots=True)
class _Joined(Frames):
    """The features of one modality over all splits."""

    parts: Sequence[ArrayFrames]
    starts: NDArray[np.int64]
    """Place of each part's first sample."""

    @property
    def dim(self) -> int:
        return self.parts[0].dim

    def of(self, index: int) -> NDArray[np.float32] | None:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].of(index - int(self.starts[part]))


def _corpus(path: Path, sha256: str, found: list[_Part], tasks: Sequence[Task], judged: Dimension) -> Corpus:
    taken = [p for p in found if p.name.lower() in SPLITS and p.texts.get("id")]
    if not taken:
        names = ", ".join(part.name for part in found) or "none"
        raise _refused(path, f"no sample with an id is in train, valid or test; its parts: {names}")
    for part in taken:
        _require_length(path, part)
    utterances = [one for part in taken for one in _utterances(part)]
    _require_once(path, utterances)
    votes, spoken_of, notes = _votes(path, taken, tasks, judged)
    left = [part.name for part in found if part not in taken]
    if left:
        notes.append(f"left aside: {', '.join(left)}")
    return Corpus(
        file=path.name, sha256=sha256, utterances=utterances, votes=votes, tasks=frozenset(spoken_of),
        features=_features(path, taken), tells_split=True, notes=tuple(notes),
    )  # fmt: skip


def _require_length(path: Path, part: _Part) -> None:
    """Every key of a split has one entry per sample."""
    lengths = {key: len(texts) for key, texts in part.texts.items()}
    for key in part.arrays:
        array = part.array(key)
        lengths[key] = len(array) if array is not None and array.ndim else 0
    wrong = [f"{key} {n}" for key, n in lengths.items() if n != part.samples()]
    if wrong:
        raise _refused(path, f"{part.name} has {part.samples()} ids, but {', '.join(wrong)}")


def _require_once(path: Path, utterances: Sequence[Utterance]) -> None:
    seen: set[str] = set()
    for one in utterances:
        if one.key in seen:
            raise _refused(path, f"the id {one.key!r} is there twice")
        seen.add(one.key)


def _utterances(part: _Part) -> Iterator[Utterance]:
    texts = part.texts.get("raw_text", [""] * part.samples())
    split = to_split(part.name, part.name)
    for at, (key, text) in enumerate(zip(part.texts["id"], texts, strict=True)):
        video, _, clip = key.partition(BETWEEN)
        place = int(clip) if clip.isascii() and clip.isdecimal() and len(clip) < 10 else at
        yield Utterance(key, video or key, "", split, text.strip(), place, place)


def _require_numbers(path: Path, part: _Part, key: str, values: NDArray[Any]) -> None:
    if values.size != part.samples():
        raise _refused(path, f"{key} of {part.name} is of shape {values.shape}, not one number per sample")


def _votes(
    path: Path, parts: Sequence[_Part], tasks: Sequence[Task], judged: Dimension
) -> tuple[list[Vote], list[str], list[str]]:
    """What was answered, the ids of the tasks that it is about, and what was left aside."""
    keys = {Modality.MULTIMODAL: "regression_labels", **{m: f"regression_labels_{m.value}" for m in UNIMODAL}}
    votes: list[Vote] = []
    spoken_of, notes = [], []
    for modality, key in keys.items():
        task = Task(judged, modality)
        if not any(key in part.arrays for part in parts):
            continue
        if task not in tasks:
            notes.append(f"left aside: {key}, because no pass of this project judges {task.id}")
            continue
        spoken_of.append(task.id)
        start = 0
        for part in parts:
            values = part.array(key)
            if values is not None:
                _require_numbers(path, part, key, values)
                votes += _of_part(part, task, np.asarray(values).ravel(), start)
            start += part.samples()
    return votes, spoken_of, notes


def _of_part(part: _Part, task: Task, values: NDArray[Any], start: int) -> Iterator[Vote]:
    # The shortest text of each number in its own precision: 0.2, as it was before it became 32 bits.
    for at, value in enumerate(values):
        said = (
            None if np.isnan(value) else stored(str(value), task, f"{part.name} {part.texts['id'][at]}", {})
        )
        if said is not None:
            yield Vote(start + at, task.id, "", said)


def _features(path: Path, parts: Sequence[_Part]) -> dict[Modality, _Joined]:
    starts = np.cumsum([0, *(part.samples() for part in parts)])[:-1].astype(np.int64)
    found = {}
    for m in UNIMODAL:
        arrays = [part.array(m.word) for part in parts]
        if all(array is None for array in arrays):
            continue
        frames = [
            ArrayFrames(
                array, f"{part.name}.{m.word}", lengths=_lengths(part, m),
                clean=_heard if m is Modality.AUDIO else _as_it_is,
            )
            for part, array in zip(parts, arrays, strict=True)
            if array is not None
        ]  # fmt: skip
        dims = {one.dim for one in frames}
        if len(frames) < len(parts) or len(dims) > 1:
            raise _refused(path, f"{m.word} is not of one width in all splits")
        found[m] = _Joined(frames, starts)
    return found


def _lengths(part: _Part, modality: Modality) -> NDArray[Any] | None:
    lengths = part.array(f"{modality.word}_lengths")
    return None if lengths is None else np.asarray(lengths)


def _as_it_is(frames: NDArray[Any]) -> NDArray[Any]:
    return frames


def _heard(frames: NDArray[Any]) -> NDArray[Any]:
    """Some audio features hold the logarithm of silence; MMSA's loader takes it for 0, too."""
    return np.where(np.isneginf(frames), 0, frames)
