"""Runs as a process of its own: turns an MMSA pickle into plain arrays and JSON, and builds nothing else.

``python -I _unpickle.py FILE FOLDER BYTES SECONDS``. Nothing that a pickle names is ever imported or called:
the names of a short list are replaced by inert records of their arguments, from which arrays are made
here, from raw bytes of plain types. Everything else is refused. Before it reads the file, the process limits
its own memory and the files that it writes to BYTES, and its CPU time to SECONDS.
"""

import io
import json
import math
import pickle
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

REFUSED = 3
"""Exit code for a file with unexpected content; the reason is written to stdout."""
TOO_LARGE = 4
"""Exit code for content that takes more room than allowed; the bytes needed are written to stdout."""
TEXT_WEIGHT = 8
"""Bytes of memory that one byte of text takes where it is read again."""
MIN_FILE_BYTES = 4096
"""Room that the smallest file takes."""
MOST_DIMENSIONS = 4
_NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class RefusedError(Exception):
    """The pickle holds something that no feature file needs."""


class TooLargeError(Exception):
    """The arrays of the pickle, written out, take more room than they may."""


class _Name:
    """Replaces a name of the list: it can be called, and nothing can be set on it."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Any) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise RefusedError("it changes what it builds with")

    def __setstate__(self, state: object) -> NoReturn:
        raise RefusedError("it changes what it builds with")


class _Type:
    """The description of a dtype."""

    __slots__ = ("code", "order", "size")

    def __init__(self, code: object, *_: object) -> None:
        text = _text(code)
        self.order = text[0] if text[:1] in ("<", ">", "|", "=") else "="
        self.code, self.size = text.lstrip("<>|="), 0

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subarray, names, fields, size, alignment, flags, ...)
        if not isinstance(state, tuple) or len(state) < 6 or any(part is not None for part in state[2:5]):
            raise RefusedError("an array of records")
        self.order = _text(state[1])

    def plain(self) -> np.dtype[Any]:
        """The numpy type, of numbers or text only."""
        words = self.code[:1] in ("U", "S") and self.code[1:].isdecimal()
        code = {"?": "b1", "f": "f4", "d": "f8"}.get(self.code, self.code)
        if not words and code not in _NUMBERS:
            raise RefusedError(f"an array of type {self.code!r}")
        return np.dtype(("" if self.order in ("=", "|") else self.order) + code)


class _Array:
    """The description of an array."""

    __slots__ = ("data", "fortran", "shape", "type")

    def __init__(self, shape: Any = (0,), type: Any = None, data: Any = b"", fortran: bool = False) -> None:
        self.shape, self.type, self.data, self.fortran = shape, type, data, fortran

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise RefusedError("an array in an unknown form")
        self.shape, self.type, self.fortran, self.data = state[-4:]

    def plain(self) -> Any:
        """The numpy array; a list for an array of objects."""
        if not isinstance(self.type, _Type) or not isinstance(self.shape, tuple):
            raise RefusedError("an array in an unknown form")
        if not all(isinstance(n, int) and n >= 0 for n in self.shape) or len(self.shape) > MOST_DIMENSIONS:
            raise RefusedError(f"an array of shape {str(self.shape)[:80]}")
        count = math.prod(self.shape)
        if self.type.code in ("O", "O4", "O8"):
            if not isinstance(self.data, list) or len(self.data) != count or len(self.shape) != 1:
                raise RefusedError("an array of objects in several dimensions")
            return self.data
        dtype = self.type.plain()
        if not isinstance(self.data, bytes | bytearray) or len(self.data) != count * dtype.itemsize:
            raise RefusedError("an array whose bytes do not fit its shape")
        return np.frombuffer(self.data, dtype).reshape(self.shape, order="F" if self.fortran else "C")


def _reconstruct(kind: object, shape: object, code: object) -> _Array:
    return _Array()


def _frombuffer(data: object, type: object, shape: object, order: object = "C") -> _Array:
    return _Array(shape, type, data, order == "F")


def _encode(text: object, encoding: object) -> bytes:
    """Bytes in the oldest protocol."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("text in an unknown form")
    return text.encode("latin1")


def _bytearray(*data: object) -> bytearray:
    # A number would ask for so many bytes.
    if len(data) != 1 or not isinstance(data[0], bytes):
        raise RefusedError("bytes in an unknown form")
    return bytearray(data[0])


def _bytes(*data: object) -> bytes:
    if data:
        raise RefusedError("bytes in an unknown form")
    return b""


def _dict(*pairs: object) -> dict[Any, Any]:
    if not pairs:
        return {}
    if len(pairs) != 1 or not isinstance(pairs[0], list):
        raise RefusedError("a mapping in an unknown form")
    return dict(pairs[0])


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): lambda shape, type, data: _Array(shape, _Type(type), data),
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _dict,
    **{(f"{home}.multiarray", "_reconstruct"): _reconstruct for home in ("numpy.core", "numpy._core")},
    **{
        (f"{home}.multiarray", "scalar"): lambda type, data: _Array((), type, data)
        for home in ("numpy.core", "numpy._core")
    },
    **{(f"{home}.numeric", "_frombuffer"): _frombuffer for home in ("numpy.core", "numpy._core")},
    **{(home, "bytearray"): _bytearray for home in ("builtins", "__builtin__")},
    **{(home, "bytes"): _bytes for home in ("builtins", "__builtin__")},
    **{(home, "dict"): _dict for home in ("builtins", "__builtin__")},
}
"""The names that a pickle may use, with their replacements."""


class _Reader(pickle.Unpickler):
    """Imports nothing: a name is on the list, or the file is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """The replacement of a name. Raises `RefusedError` for one that is not on the list."""
        if (module, name) not in _ALLOWED:
            raise RefusedError(
                f"it wants to build {module[:80]}.{name[:80]}, which is neither array nor text"
            )
        return _Name(_ALLOWED[module, name])

    def persistent_load(self, pid: object) -> NoReturn:
        """Raises `RefusedError`: nothing may lie outside the file."""
        raise RefusedError("it refers to something outside itself")


def read(file: io.BufferedReader) -> Any:
    """The content of the pickle, with descriptions in place of arrays.

    Raises `RefusedError` for content that is not allowed.
    """
    # Text of Python 2 stays bytes: it may be in any encoding.
    reader = _Reader(file, fix_imports=False, encoding="bytes")
    try:
        return reader.load()
    except RefusedError:
        raise
    except (EOFError, pickle.UnpicklingError) as error:
        raise RefusedError(f"it is not a complete pickle: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged stream of instructions leads to
        raise RefusedError(f"it is damaged: {type(error).__name__}") from error


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:  # surrogates, which no database stores
            raise RefusedError(f"{value[:80]!a} is not valid text") from error
        return value
    if isinstance(value, _Array):
        value = value.plain()
        return _text(value.item()) if isinstance(value, np.ndarray) and value.ndim == 0 else str(value)
    if isinstance(value, bool | int | float):
        return str(value)
    raise RefusedError(f"a {type(value).__name__} where text belongs")


def _plain(value: object) -> Any:
    """A numpy array for the description of one, any other value unchanged."""
    return value.plain() if isinstance(value, _Array) else value


def _ids(value: object) -> list[str]:
    ids = [_text(item) for item in _items(value)]
    if wrong := next((name for name in ids if "\0" in name), None):
        raise RefusedError(f"the id {wrong[:80]!a} holds a character that no database stores")
    return ids


def _transcripts(value: object) -> list[str]:
    """The text of each sample; empty where pandas or numpy wrote a missing value."""
    texts = []
    for item in _items(value):
        plain = _plain(item)
        if isinstance(plain, np.ndarray) and plain.ndim == 0:
            plain = plain.item()
        missing = plain is None or (isinstance(plain, float) and math.isnan(plain))
        texts.append("" if missing else _text(item).replace("\0", ""))
    return texts


def _items(value: object) -> list[Any]:
    value = _plain(value)
    if isinstance(value, np.ndarray):
        return list(value.ravel().tolist())
    if isinstance(value, list | tuple):
        return list(value)
    raise RefusedError(f"a {type(value).__name__} where a list of texts belongs")


def _numbers(value: object, depth: int = 0) -> np.ndarray[Any, Any]:
    """An array of numbers; nested lists become one array."""
    value = _plain(value)
    if isinstance(value, bool | int | float) and depth:
        return np.array(value)
    if isinstance(value, list | tuple) and depth < MOST_DIMENSIONS:
        items = [_numbers(item, depth + 1) for item in value]
        if len({np.shape(item) for item in items}) > 1:
            raise RefusedError("a list of arrays of different shapes")
        value = np.array(items)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return value
    raise RefusedError(f"a {type(value).__name__} where numbers belong")


TEXTS: dict[str, Callable[[object], list[str]]] = {"id": _ids, "raw_text": _transcripts}
LABELS = ("regression_labels", *(f"regression_labels_{m}" for m in "TAV"))
FEATURES = ("text", "audio", "vision")
LENGTHS = tuple(f"{m}_lengths" for m in FEATURES)


def parts(content: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each split of the file with its name, and its keys as text; everything else is skipped."""
    content = _plain(content)
    if not isinstance(content, Mapping):
        raise RefusedError(f"it holds a {type(content).__name__}, not the splits of a feature file")
    for name, part in content.items():
        if isinstance(part, Mapping):
            yield _text(name), {_text(key): value for key, value in part.items()}


class _LimitedFolder:
    """The folder that everything is written to, with a limit on its size."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most, self._used = folder, most, 0

    def take(self, size: int) -> None:
        """Count `size` bytes, even of an array that the file names many times. Raises `TooLargeError`."""
        self._used += size
        if self._used > self._most:
            raise TooLargeError(str(self._used))

    def save(self, name: str, array: np.ndarray[Any, Any]) -> None:
        self.take(array.nbytes + MIN_FILE_BYTES)
        np.save(self._folder / f"{name}.npy", array, allow_pickle=False)


def write(content: object, folder: Path, most: int) -> None:
    """Write ``parts.json`` with the texts of each split, and its arrays as ``SPLIT-NUMBER.KEY.npy``.

    Raises `TooLargeError` before the files take more than `most` bytes together.
    """
    listed, output = [], _LimitedFolder(folder, most)
    for number, (name, part) in enumerate(parts(content)):
        arrays: list[str] = []
        for key in (*FEATURES, *LENGTHS, *LABELS):
            if key in part:
                output.save(f"{number}.{key}", _numbers(part[key]))
                arrays.append(key)
        if "text_bert" in part and "text_lengths" not in part:
            mask = _numbers(part["text_bert"])
            if mask.ndim == 3 and mask.shape[1] == 3:
                output.save(f"{number}.text_lengths", mask[:, 1].sum(axis=1).astype(np.int64))
                arrays.append("text_lengths")
        texts = {key: read(part[key]) for key, read in TEXTS.items() if key in part}
        output.take(TEXT_WEIGHT * sum(len(t.encode()) + 4 for column in texts.values() for t in column))
        listed.append({"name": name, "texts": texts, "arrays": arrays})
    (folder / "parts.json").write_text(json.dumps(listed), encoding="utf-8")


def limit(memory: int, seconds: int) -> None:
    """Limit memory (bytes) and CPU time of this process, for good: a limit can never be raised again."""
    for kind, most in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, memory),
        (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(kind, (most, most))


def main(source: str, folder: str, memory: str, seconds: str) -> int:
    """Convert the file, and return the exit code; the reason of a refusal is written to stdout."""
    limit(int(memory), int(seconds))
    try:
        with Path(source).open("rb") as file:
            write(read(file), Path(folder), int(memory))
    except TooLargeError as error:
        print(error)
        return TOO_LARGE
    except RefusedError as error:
        print(str(error).encode("utf-8", "backslashreplace").decode())
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
