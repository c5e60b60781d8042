"""Feature arrays: ``.npz`` files without pickles, one row per sample."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import CorpusError
from annotate.importing.columns import missing_name
from annotate.importing.corpus import Frames

_KINDS = "fiub"
"""Of numbers."""


class ArrayFiles:
    """The arrays of some ``.npz`` files, by name; closed by `with`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises `CorpusError` for what is no such file, or a name that two of them have."""
        self._files: dict[str, Any] = {}
        with ExitStack() as closing:
            for path in paths:
                found = _load(path, closing)
                for name in found.files:
                    if name in self._files:
                        raise CorpusError(f"two files have an array {name!r}", hint="rename one of them")
                    self._files[name] = (path, found)
            self._open = closing.pop_all()

    def __enter__(self) -> "ArrayFiles":
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def names(self) -> list[str]:
        """Of all arrays."""
        return list(self._files)

    def get(self, name: str) -> NDArray[Any]:
        """The array of that name.

        Raises `CorpusError` when there is none, or it is damaged, or holds objects.
        """
        if name not in self._files:
            raise missing_name("array", name, self.names())
        path, found = self._files[name]
        try:
            return np.asarray(found[name])
        except ValueError as error:
            what = (
                "holds objects, which only a pickle could"
                if "pickle" in str(error)
                else f"is damaged: {error}"
            )
            raise CorpusError(
                f"the array {name!r} of {path} {what}", hint="save it as plain numbers: np.savez(...)"
            ) from error
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise CorpusError(
                f"the array {name!r} of {path} is damaged: {error}", hint="get the file again"
            ) from error


def _load(path: Path, closing: ExitStack) -> Any:
    try:
        # Opened here, because of a damaged file numpy would leave it open.
        found = np.load(closing.enter_context(path.open("rb")), allow_pickle=False)
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror or error}", hint="name an .npz file"
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        # numpy would advise to load what may be a pickle unsafely.
        why = "no zip archive" if isinstance(error, ValueError) else str(error)
        raise CorpusError(f"{path} is no .npz file: {why}", hint="make it with np.savez(...)") from error
    if not isinstance(found, np.lib.npyio.NpzFile):
        raise CorpusError(
            f"{path} holds one array without a name", hint="make it with np.savez(FILE, audio=...)"
        )
    return closing.enter_context(found)


@dataclass(frozen=True)
class ArrayFrames(Frames):
    """Rows of a (n, dim) or (n, frames, dim) array; `name` is told in errors."""

    array: NDArray[Any]
    name: str
    rows: Sequence[int | None] | None = None
    """Row of each sample, None for a sample without; None: sample and row are in the same order."""
    lengths: NDArray[Any] | None = None
    """(n,) frames of each row that are no padding."""
    cut_zeros: bool = False
    """Leave out frames of zeros at the beginning and the end."""
    clean: Callable[[NDArray[Any]], NDArray[Any]] = lambda frames: frames

    def __post_init__(self) -> None:
        if self.array.dtype.kind not in _KINDS or self.array.ndim not in (2, 3) or not self.array.shape[-1]:
            raise CorpusError(
                f"the array {self.name!r} is {self.array.dtype} of shape {self.array.shape}",
                hint="features are numbers of shape (samples, dim) or (samples, frames, dim)",
            )

        if self.lengths is not None and (self.lengths.dtype.kind not in "iu" or self.lengths.ndim != 1):
            raise CorpusError(
                f"the lengths of {self.name!r} are {self.lengths.dtype} of shape {self.lengths.shape}",
                hint="one whole number per sample",
            )

    @property
    def dim(self) -> int:
        """Numbers per frame."""
        return int(self.array.shape[-1])

    def of(self, index: int) -> NDArray[np.float32] | None:
        """(frames, dim), as `Frames` says."""
        row = index if self.rows is None else self.rows[index]
        if row is None:
            return None
        frames = np.atleast_2d(self.clean(np.asarray(self.array[row])))
        if self.lengths is not None:
            frames = frames[: max(int(self.lengths[row]), 0)]
        with np.errstate(over="ignore"):
            found = frames.astype(np.float32)
        if not np.isfinite(found).all():
            raise CorpusError(
                f"row {row} of the array {self.name!r} holds NaN, infinity, or a number beyond 32 bits",
                hint="mend the file; zeros stand for a modality that a sample does not have",
            )
        if self.cut_zeros:
            used = np.flatnonzero(found.any(axis=1))
            found = found[used[0] : used[-1] + 1] if len(used) else found[:0]
        return found if len(found) else np.zeros((1, self.dim), np.float32)


def require_rows(frames: Mapping[str, NDArray[Any]], samples: int) -> None:
    """Raise `CorpusError` for an array (by name) that has another number of rows than there are samples."""
    for name, array in frames.items():
        if not array.ndim:
            raise CorpusError(
                f"the array {name!r} has shape (), and the table {samples} samples", hint="name another array"
            )
        if len(array) != samples:
            raise CorpusError(
                f"the array {name!r} has {len(array)} rows, and the table {samples} samples",
                hint="they are matched by order; or name an array of ids beside it by --feature-id",
            )
