"""Feature arrays: ``.npz`` files without pickles, one row per sample."""

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import CorpusError
from annotate.importing.corpus import Frames
from annotate.importing.shared import DEFAULT_MEMORY_GB, missing_name
from annotate.wording import counted

_FORMAT: Any = np.lib.format
_KINDS = "fiub"
"""Kinds of numpy types that are numbers."""
_LONGEST_HEADER = 10_000
"""Bytes, as in numpy itself: no array of numbers or text has a longer header."""
_LARGEST_EMPTY = 100_000_000
"""Largest shape, in bytes, of an array without bytes: rows without elements, or elements without bytes."""
_BEST_DEFLATE_RATIO = 1_100
"""Most bytes that one byte of a deflated file can expand to (RFC 1951 allows 1032)."""
_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors of zipfile and numpy for a damaged or encrypted archive."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int
    """Bytes of its elements."""


class ArrayFiles:
    """The arrays of some ``.npz`` files, by name; a context manager that closes the files.

    The size in a header is not trusted: it is compared with the size of the archive, and with the memory that
    may be used, before an array is read.
    """

    def __init__(self, paths: Sequence[Path], memory_gb: float = DEFAULT_MEMORY_GB) -> None:
        """`memory_gb` (1e9 bytes) is the memory that all arrays that are read may take together.

        Raises `CorpusError` for a file of another kind, or a name that two arrays have.
        """
        self._members: dict[str, tuple[Path, zipfile.ZipFile, zipfile.ZipInfo]] = {}
        self._memory_gb, self._used = memory_gb, 0
        with ExitStack() as closing:
            for path in paths:
                archive = closing.enter_context(_open_archive(path))
                for info in archive.infolist():
                    name = info.filename.removesuffix(".npy")
                    if name == info.filename:
                        continue
                    if name in self._members:
                        raise CorpusError(f"there are two arrays {name!r}", hint="rename one of them")
                    self._members[name] = (path, archive, info)
            self._open = closing.pop_all()

    def __enter__(self) -> "ArrayFiles":
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def names(self) -> list[str]:
        """The names of all arrays."""
        return list(self._members)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of the array of that name, without reading it. Raises as `get` does."""
        with self._reading(name) as (stream, info):
            return _header(stream, info).shape

    def get(self, name: str, bytes_per_element: int = 0) -> NDArray[Any]:
        """The array of that name; the caller will need `bytes_per_element` of memory more per element.

        Raises `CorpusError` when there is no such array, or it is damaged, holds objects, or would exceed the
        memory limit of all arrays together.
        """
        with self._reading(name) as (stream, info):
            header = _header(stream, info)
        size = header.size + math.prod(header.shape) * bytes_per_element
        needed = (self._used + size) / 1e9
        if needed > self._memory_gb:
            raise CorpusError(
                f"the array {name!r} of {self._members[name][0]} is {header.dtype} of shape {header.shape}: "
                f"with it, {needed:.3g} GB of memory would be needed, and {self._memory_gb:g} GB may be used",
                hint=f"say --memory {int(needed) + 1} if this machine has so much",
            )
        with self._reading(name) as (stream, info):
            array = np.asarray(_FORMAT.read_array(stream, allow_pickle=False))
        self._used += size
        return array

    @contextmanager
    def _reading(self, name: str) -> Iterator[tuple[IO[bytes], zipfile.ZipInfo]]:
        """The bytes of an array; errors inside the block become a `CorpusError` that names it."""
        if name not in self._members:
            raise missing_name("array", name, self.names())
        path, archive, info = self._members[name]
        try:
            with archive.open(info) as stream:
                yield stream, info
        except _Objects as error:
            raise CorpusError(
                f"the array {name!r} of {path} holds objects, which only a pickle could",
                hint="save it as plain numbers or text: np.savez(FILE, NAME=array.astype(...))",
            ) from error
        except _DAMAGE as error:
            raise CorpusError(
                f"the array {name!r} of {path} is damaged: {error}", hint="get the file again"
            ) from error


class _Objects(Exception):
    """An array of Python objects."""


def _open_archive(path: Path) -> zipfile.ZipFile:
    try:
        with path.open("rb") as file:
            single = file.read(6) == _FORMAT.MAGIC_PREFIX
        if not single:
            return zipfile.ZipFile(path)
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror or error}", hint="name an .npz file"
        ) from error
    except _DAMAGE as error:
        raise CorpusError(
            f"{path} is not an .npz file: {error}", hint="make it with np.savez(...)"
        ) from error
    raise CorpusError(f"{path} holds one array without a name", hint="make it with np.savez(FILE, audio=...)")


def _header(stream: IO[bytes], info: zipfile.ZipInfo) -> _Header:
    """The header of an array. Raises `ValueError` when its archive does not hold just as much."""
    ratio = 1 if info.compress_type == zipfile.ZIP_STORED else _BEST_DEFLATE_RATIO
    most = info.compress_size * ratio
    if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and info.file_size > most:
        raise ValueError(
            f"it announces {info.file_size} bytes, more than the {info.compress_size} of the archive can hold"
        )
    start = stream.read(12)
    is_version_2 = start[6:7] != b"\x01"
    length = int.from_bytes(start[8 : 12 if is_version_2 else 10], "little")
    if start[:6] != _FORMAT.MAGIC_PREFIX or length > _LONGEST_HEADER:
        raise ValueError("it does not begin as an array does")
    stream.seek(0)
    version = _FORMAT.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is written in version {version[0]} of the format, as only records are")
    read = _FORMAT.read_array_header_2_0 if is_version_2 else _FORMAT.read_array_header_1_0
    try:
        shape, _, dtype = read(stream)
    except Exception as error:  # whatever Python's own parser raises for an invalid header
        raise ValueError("its header describes no array") from error
    if dtype.hasobject:
        raise _Objects
    if any(type(length) is not int for length in shape):
        raise ValueError("its header describes no array")
    size = math.prod(shape) * dtype.itemsize
    held = info.file_size - length - (12 if is_version_2 else 10)
    if min(shape, default=0) < 0 or size != held:
        raise ValueError(f"it announces {dtype} of shape {shape}, {size} bytes, and holds {held}")
    # Elements without bytes and rows without elements take no room in the archive, but memory later on.
    if not size and math.prod(length or 1 for length in shape) * (dtype.itemsize or 1) > _LARGEST_EMPTY:
        raise ValueError(f"it announces {dtype} of shape {shape}, and holds nothing")
    return _Header(shape, dtype, size)


@dataclass(frozen=True)
class ArrayFrames(Frames):
    """Rows of an (n, dim) or (n, frames, dim) array; `name` is its name in error messages."""

    array: NDArray[Any]
    name: str
    rows: Sequence[int | None] | None = None
    """Row of each sample, None for a sample without; None instead of rows: row i belongs to sample i."""
    lengths: NDArray[Any] | None = None
    """(n,) number of frames of each row, without padding."""
    cut_zeros: bool = False
    """Whether to drop frames of zeros at the beginning and the end."""
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
        """See `Frames`."""
        row = index if self.rows is None else self.rows[index]
        if row is None:
            return None
        frames = np.atleast_2d(self.clean(np.asarray(self.array[row])))
        if self.lengths is not None:
            frames = frames[: max(int(self.lengths[row]), 0)]
        with np.errstate(over="ignore"):
            values = frames.astype(np.float32)
        if not np.isfinite(values).all():
            raise CorpusError(
                f"row {row} of the array {self.name!r} holds NaN, infinity, or a number beyond 32 bits",
                hint="fix the file; use zeros for a modality that a sample does not have",
            )
        if self.cut_zeros:
            used = np.flatnonzero(values.any(axis=1))
            values = values[used[0] : used[-1] + 1] if len(used) else values[:0]
        return values if len(values) else np.zeros((1, self.dim), np.float32)


def require_rows(frames: Mapping[str, NDArray[Any]], samples: int) -> None:
    """Raise `CorpusError` for an array (by name) whose number of rows is not that of the samples."""
    for name, array in frames.items():
        if not array.ndim:
            raise CorpusError(
                f"the array {name!r} has shape (), and the table {counted(samples, 'sample')}",
                hint="name another array",
            )
        if len(array) != samples:
            raise CorpusError(
                f"the array {name!r} has {counted(len(array), 'row')}, and the table "
                f"{counted(samples, 'sample')}",
                hint="they are matched by order; or name an array of ids beside it by --feature-id",
            )
