"""Reads the feature pickle of MMSA without trusting it."""

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
from annotate.importing.answers import parse_answer
from annotate.importing.arrays import ArrayFrames
from annotate.importing.columns import fingerprint
from annotate.importing.corpus import Corpus, Frames, Utterance, Vote
from annotate.importing.table import SPLITS, to_split
from annotate.types import UNIMODAL, Dimension, Kind, Modality, Task

ID_SEPARATOR = "$_$"
"""Separates the names of the video and the clip in an id."""
_MEMORY_FACTOR = 2.5
"""Memory that reading a file takes, relative to its size."""
_SECONDS = 60
_BYTES_PER_SECOND = 5_000_000
"""Reading speed of the slowest machine."""
_DIED_OF_MEMORY = "MemoryError"
_NO_ROOM = "No space left on device"


@contextmanager
def read_mmsa(path: Path, tasks: Sequence[Task], dimension: str, memory_gb: float) -> Iterator[Corpus]:
    """The corpus in the file; its arrays lie in a folder that is deleted when the block ends.

    `dimension` names the dimension of its labels; empty means the only dimension of `tasks` with numbers.

    Raises `UsageError` for a file that does not exist or an unsuitable dimension, `CorpusError` for another
    kind of pickle, one that holds anything but arrays, text and numbers, or one that takes more than
    `memory_gb` (1e9 bytes) of memory, or of temporary files together.
    """
    known = list(dict.fromkeys(t.dimension for t in tasks if t.dimension.kind is Kind.REGRESSION))
    matching = [d for d in known if d.name == dimension or not dimension]
    if len(matching) != 1:
        listed = ", ".join(d.name for d in known) or "none"
        which = f"are called {dimension!r}" if dimension else "are in this project"
        raise UsageError(
            f"{len(matching)} dimensions with numbers {which}",
            hint=f"say --dimension NAME; known: {listed}",
        )
    size = path.stat().st_size if path.is_file() else 0
    if size * _MEMORY_FACTOR > memory_gb * 1e9:
        raise CorpusError(
            f"{path} has {size / 1e9:.2g} GB, too many for a reader that may use {memory_gb:g} GB of memory",
            hint=f"say --memory {int(size * _MEMORY_FACTOR / 1e9) + 1} if this machine has so much",
        )
    sha256 = fingerprint(path)
    with tempfile.TemporaryDirectory(prefix="annotate-import-") as folder:
        _unpickle_apart(path, Path(folder), memory_gb)
        content = json.loads((Path(folder) / "parts.json").read_text(encoding="utf-8"))
        parts = [_Part(Path(folder), number, **part) for number, part in enumerate(content)]
        yield _corpus(path, sha256, parts, tasks, matching[0])


def _unpickle_apart(path: Path, folder: Path, memory_gb: float) -> None:
    """Read the file in a process with limited memory and time, which builds no objects from it."""
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
        hint="only complete MMSA feature files of arrays, text and numbers are read; get the file again",
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
        """The array, mapped from disk; None where the split has none."""
        if key not in self.arrays:
            return None
        return np.load(self.folder / f"{self.number}.{key}.npy", mmap_mode="r", allow_pickle=False)

    def samples(self) -> int:
        return len(self.texts["id"])


@dataclass(frozen=True, slots=True)
class _ConcatenatedFrames(Frames):
    """The features of one modality over all splits."""

    parts: Sequence[ArrayFrames]
    starts: NDArray[np.int64]
    """Position of each part's first sample."""

    @property
    def dim(self) -> int:
        return self.parts[0].dim

    def of(self, index: int) -> NDArray[np.float32] | None:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].of(index - int(self.starts[part]))


def _corpus(
    path: Path, sha256: str, parts: list[_Part], tasks: Sequence[Task], dimension: Dimension
) -> Corpus:
    splits = [p for p in parts if p.name.lower() in SPLITS and p.texts.get("id")]
    if not splits:
        names = ", ".join(part.name for part in parts) or "none"
        raise _refused(path, f"no sample with an id is in train, valid or test; its parts: {names}")
    for part in splits:
        lengths = {key: len(texts) for key, texts in part.texts.items()}
        for key in part.arrays:
            array = part.array(key)
            lengths[key] = len(array) if array is not None and array.ndim else 0
        wrong = [f"{key} {n}" for key, n in lengths.items() if n != part.samples()]
        if wrong:
            raise _refused(path, f"{part.name} has {part.samples()} ids, but {', '.join(wrong)}")
    utterances: dict[str, Utterance] = {}
    for part in splits:
        texts = part.texts.get("raw_text", [""] * part.samples())
        split = to_split(part.name, part.name)
        for index, (key, text) in enumerate(zip(part.texts["id"], texts, strict=True)):
            if key in utterances:
                raise _refused(path, f"the id {key!r} is there twice")
            video, _, clip = key.partition(ID_SEPARATOR)
            order = int(clip) if clip.isascii() and clip.isdecimal() and len(clip) < 10 else index
            utterances[key] = Utterance(key, video or key, "", split, text.strip(), order, order)
    votes, covered, notes = _votes(path, splits, tasks, dimension)
    unused = [part.name for part in parts if part not in splits]
    if unused:
        notes.append(f"not read: {', '.join(unused)}")
    return Corpus(
        file=path.name, sha256=sha256, utterances=list(utterances.values()), votes=votes,
        tasks=frozenset(covered), features=_features(path, splits), has_splits=True, notes=tuple(notes),
    )  # fmt: skip


def _votes(
    path: Path, parts: Sequence[_Part], tasks: Sequence[Task], dimension: Dimension
) -> tuple[list[Vote], list[str], list[str]]:
    """The answers, the ids of the tasks that they cover, and a note for each task that is not read."""
    keys = {Modality.MULTIMODAL: "regression_labels", **{m: f"regression_labels_{m.value}" for m in UNIMODAL}}
    votes: list[Vote] = []
    covered, notes = [], []
    for modality, key in keys.items():
        task = Task(dimension, modality)
        if not any(key in part.arrays for part in parts):
            continue
        if task not in tasks:
            notes.append(f"not read: {key}, because no pass of this project judges {task.id}")
            continue
        covered.append(task.id)
        start = 0
        for part in parts:
            values = part.array(key)
            if values is not None:
                if values.size != part.samples():
                    shape = values.shape
                    raise _refused(path, f"{key} of {part.name} has shape {shape}, not one number per sample")
                votes += _votes_of_part(part, task, np.asarray(values).ravel(), start)
            start += part.samples()
    return votes, covered, notes


def _votes_of_part(part: _Part, task: Task, values: NDArray[Any], start: int) -> Iterator[Vote]:
    # `str` gives the shortest text of a number in its own precision: 0.2, as it was before it became 32 bits.
    for index, value in enumerate(values):
        if not np.isnan(value):
            answer = parse_answer(str(value), task, f"{part.name} {part.texts['id'][index]}", {})
            if answer is not None:
                yield Vote(start + index, task.id, "", answer)


def _features(path: Path, parts: Sequence[_Part]) -> dict[Modality, _ConcatenatedFrames]:
    starts = np.cumsum([0, *(part.samples() for part in parts)])[:-1].astype(np.int64)
    features = {}
    for m in UNIMODAL:
        arrays = [part.array(m.word) for part in parts]
        if all(array is None for array in arrays):
            continue
        frames = [
            ArrayFrames(
                array, f"{part.name}.{m.word}", lengths=_lengths(part, m),
                # The logarithm of silence in audio features counts as 0, as in MMSA's loader.
                clean=(lambda x: np.where(np.isneginf(x), 0, x)) if m is Modality.AUDIO else lambda x: x,
            )
            for part, array in zip(parts, arrays, strict=True)
            if array is not None
        ]  # fmt: skip
        dims = {part.dim for part in frames}
        if len(frames) < len(parts) or len(dims) > 1:
            raise _refused(path, f"{m.word} has different widths in its splits")
        features[m] = _ConcatenatedFrames(frames, starts)
    return features


def _lengths(part: _Part, modality: Modality) -> NDArray[Any] | None:
    lengths = part.array(f"{modality.word}_lengths")
    return None if lengths is None else np.asarray(lengths)
