"""Stores features on disk in immutable, ragged safetensors shards that are read sample by sample.

A shard holds four tensors: ``values`` (flat, 16-bit floats; 32-bit when a number would not fit),
``offsets`` (int64, the start of each sample's values and the end of the last), ``samples`` (the sample
ids, 16 bytes each) and ``checksums`` (CRC-32 of each sample's bytes, initialised with ``dim``, so that a
reader detects damage without reading the whole shard). The metadata field ``dim`` is the number of values
per frame. Sixteen bits keep three decimal digits, which is more than the precision of any extractor.
"""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.durable import write_whole
from annotate.errors import FeatureError
from annotate.temporary import PATTERN, sweep
from annotate.types import Modality

ID_BYTES = 16
_OTHER = "the extractor is at fault: choose another under [features], then `annotate extract`"
_DTYPES = {"F16": "<f2", "F32": "<f4", "I64": "<i8", "U32": "<u4", "U8": "|u1"}


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """A shard that was written to disk."""

    path: str
    """Relative to the store's folder."""
    sha256: str
    samples: tuple[str, ...]
    """Sample ids; the position of an id is its row in the shard."""


class FeatureStore:
    """The feature shards under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self, modality: Modality, extractor: str, items: Sequence[tuple[str, NDArray[np.float32]]]
    ) -> ShardInfo:
        """Store (sample id, (frames, dim)) pairs as one new shard; equal items give the same file.

        Raises `FeatureError` when a number is not finite or the shapes do not agree.
        """
        content = _serialise(items)
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.root / modality.value / extractor / f"{sha256[:16]}.safetensors"
        write_whole(path, content)
        relative = path.relative_to(self.root).as_posix()
        return ShardInfo(relative, sha256, tuple(sample_id for sample_id, _ in items))

    def read(self, path: str, positions: Sequence[int]) -> list[NDArray[np.float32]]:
        """The (frames, dim) arrays at `positions`, in that order, without reading others.

        Raises `FeatureError` when the shard is missing or damaged.
        """
        with _opened(self.root / path) as shard:
            return [shard.sample(position) for position in positions]

    def intact(self, path: str, sha256: str) -> bool:
        """Whether the shard exists with exactly the bytes that were written. Reads the whole file."""
        try:
            with (self.root / path).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def sweep(self, known: set[str]) -> int:
        """Delete temporary files of killed runs and shards not among the `known` paths; return how many.

        A file counts as a shard only if it is where `write` puts shards and is named after the hash of its
        content. All other files stay.
        """
        strays = [
            p for p in self.root.glob("*/*/*.safetensors") if p.relative_to(self.root).as_posix() not in known
        ]
        orphans = [stray for stray in strays if self._is_shard(stray)]
        for orphan in orphans:
            orphan.unlink()
        return len(orphans) + sweep(self.root.rglob(PATTERN))

    def _is_shard(self, path: Path) -> bool:
        if path.is_symlink() or not re.fullmatch(r"[0-9a-f]{16}", path.stem):
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16] == path.stem


def _serialise(items: Sequence[tuple[str, NDArray[np.float32]]]) -> bytes:
    from safetensors.numpy import save

    dims = {array.shape[1:] for _, array in items}
    if len(dims) != 1 or len(next(iter(dims))) != 1:
        raise FeatureError(f"features of one shard have different shapes: {sorted(dims)}", hint=_OTHER)
    dim = next(iter(dims))[0]
    wide = np.concatenate([array.astype(np.float32).ravel() for _, array in items])
    if not np.isfinite(wide).all():
        raise FeatureError("features hold a number that is not finite", hint=_OTHER)
    fits = np.abs(wide).max(initial=0) <= np.finfo(np.float16).max
    values = wide.astype("<f2" if fits else "<f4")
    offsets = np.cumsum([0, *(array.size for _, array in items)], dtype="<i8")
    tensors = {
        "values": values,
        "offsets": offsets,
        "samples": np.frombuffer("".join(i for i, _ in items).encode(), np.uint8).reshape(-1, ID_BYTES),
        "checksums": np.array([zlib.crc32(values[a:b].tobytes(), dim) for a, b in pairwise(offsets)], "<u4"),
    }
    return save(tensors, metadata={"dim": str(dim)})


class _Shard:
    """An open shard: opening validates the header, and values are read on demand."""

    def __init__(self, path: Path, file: int) -> None:
        self._path, self._file = path, file
        self._tensors, self._dim = self._header()
        self._offsets = self._whole("offsets")
        self._checksums = self._whole("checksums")
        dtype, _, length = self._tensors["values"]
        valid = (
            len(self._offsets) == len(self._checksums) + 1
            and self._offsets[[0, -1]].tolist() == [0, length // dtype.itemsize]
            and bool(np.all(self._offsets[1:] >= self._offsets[:-1]))
        )
        if not valid:
            raise _damaged(path, "its index is not valid")

    def sample(self, position: int) -> NDArray[np.float32]:
        """(frames, dim) of the sample at `position`."""
        if not 0 <= position < len(self._checksums):
            raise _damaged(self._path, f"it has no row {position}")
        dtype, start, _ = self._tensors["values"]
        first, last = (int(offset) * dtype.itemsize for offset in self._offsets[position : position + 2])
        content = os.pread(self._file, last - first, start + first)
        if len(content) != last - first or zlib.crc32(content, self._dim) != self._checksums[position]:
            raise _damaged(self._path, f"row {position} has changed since it was written")
        return np.frombuffer(content, dtype).astype(np.float32).reshape(-1, self._dim)

    def _header(self) -> tuple[dict[str, tuple[np.dtype[Any], int, int]], int]:
        """Dtype, offset and length in bytes of each tensor, and the number of values per frame."""
        size = os.fstat(self._file).st_size
        length = int.from_bytes(os.pread(self._file, 8, 0), "little")
        if size < 8 or length > size - 8:
            raise _damaged(self._path, "it ends inside its header")
        try:
            header = json.loads(os.pread(self._file, length, 8))
            dim = int(header.pop("__metadata__")["dim"])
            tensors = {
                name: (np.dtype(_DTYPES[t["dtype"]]), 8 + length + begin, end - begin)
                for name, t in header.items()
                for begin, end in [t["data_offsets"]]
            }
            if dim < 1 or not {"values", "offsets", "checksums"} <= tensors.keys():
                raise ValueError("a part is missing")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(self._path, f"its header cannot be read ({error})") from error
        if min(b for _, _, b in tensors.values()) < 0 or size != max(a + b for _, a, b in tensors.values()):
            raise _damaged(self._path, f"it has {size} bytes, its header promises another number")
        return tensors, dim

    def _whole(self, name: str) -> NDArray[Any]:
        dtype, start, length = self._tensors[name]
        content = os.pread(self._file, length, start)
        if len(content) % dtype.itemsize:
            raise _damaged(self._path, f"its {name} are cut short")
        return np.frombuffer(content, dtype)


@contextmanager
def _opened(path: Path) -> Iterator[_Shard]:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise FeatureError(
            f"feature shard {path} cannot be opened: {error.strerror}", hint="annotate extract"
        ) from error
    try:
        yield _Shard(path, file)
    finally:
        os.close(file)


def _damaged(path: Path, why: str) -> FeatureError:
    return FeatureError(f"feature shard {path} is damaged: {why}", hint="annotate extract")
