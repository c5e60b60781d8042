"""Tables as columns of text: CSV, Parquet, or the one- and two-dimensional arrays of an ``.npz`` file."""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from annotate.errors import CorpusError, UsageError

LONGEST_CELL = 100_000
"""Characters: more is a quote that was never closed, or no utterance."""
_SNIFFED = 65_536
"""Characters of a header."""


def fingerprint(path: Path) -> str:
    """sha256 of the content. Raises `UsageError` for what is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="name a file") from error


def read_columns(path: Path, wanted: Iterable[str]) -> dict[str, list[str]]:
    """The wanted columns by name, text as it stands there (``0001`` stays so), empty where nothing is.

    Without any wanted column, a column with an empty name tells how many rows there are. Raises
    `CorpusError` for what cannot be read, a column that is missing, and a table without rows.
    """
    names = list(dict.fromkeys(wanted))
    readers = {".csv": _csv, ".tsv": _csv, ".parquet": _parquet, ".npz": _npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path} is no table", hint=f"its name ends in one of {', '.join(readers)}")
    found, rows = reader(path, names)
    if not rows:
        raise CorpusError(f"{path} has no rows", hint="name a table with one row per sample")
    for name, cells in found.items():
        _require_short(name, cells)
        _require_text(name, cells)
    return found or {"": [""] * rows}


def _require_short(name: str, cells: Sequence[str]) -> None:
    row = next((i for i, cell in enumerate(cells) if len(cell) > LONGEST_CELL), None)
    if row is not None:
        raise CorpusError(
            f"row {row + 1}: {name} has {len(cells[row])} characters",
            hint=f"a quote in front of it may never be closed; a cell has at most {LONGEST_CELL} characters",
        )


def _require_text(name: str, cells: Sequence[str]) -> None:
    """Raise `CorpusError` for halves of signs, which no database takes."""
    for row, cell in enumerate(cells):
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"row {row + 1}: {name} is {cell[:80]!a}, which is no text",
                hint=r"a \ud800 to \udfff is half of a sign: mend it, or leave it out",
            ) from error


def missing_name(what: str, name: str, known: Sequence[str]) -> CorpusError:
    """There is no column or array of that name; with the nearest that there are."""
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    folded = [k for k in known if k.casefold() == name.casefold()]
    near = " or ".join(repr(k) for k in dict.fromkeys([*folded, *close]))
    return CorpusError(
        f"there is no {what} {name!r}",
        hint=f"did you mean {near}?" if near else f"known: {', '.join(known) or 'none'}",
    )


def _require(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise missing_name("column", name, known)
        if list(known).count(name) > 1:
            raise CorpusError(f"two columns are called {name!r}", hint="rename one of them")


def _csv(path: Path, names: list[str]) -> tuple[dict[str, list[str]], int]:
    found: dict[str, list[str]] = {name: [] for name in names}
    rows = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline(_SNIFFED).count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(reader, [])
            _require(names, header)
            places = [(found[name], header.index(name)) for name in names]
            for cells in reader:
                if not cells:
                    continue
                rows += 1
                if len(cells) != len(header):
                    raise CorpusError(
                        f"{path}: row {rows} has {len(cells)} cells, and the header {len(header)}",
                        hint="mend that row",
                    )
                for column, at in places:
                    column.append(cells[at])
    except csv.Error as error:
        raise CorpusError(
            f"{path} is no CSV behind row {rows}: {error}", hint="see whether a quote is never closed there"
        ) from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8: {error}", hint="save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="name a file") from error
    return found, rows


def _parquet(path: Path, names: list[str]) -> tuple[dict[str, list[str]], int]:
    if find_spec("pyarrow") is None:
        raise CorpusError(
            f"{path} takes the package pyarrow to read", hint="pip install -e '.[parquet]', or save it as CSV"
        )
    import pandas as pd
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
        _require(names, file.schema_arrow.names)
        rows = file.metadata.num_rows
        table = pd.read_parquet(path, columns=names) if names else None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorpusError(f"{path} is no Parquet file: {error}", hint="get the file again") from error
    return {} if table is None else {name: _texts(table[name]) for name in names}, rows


def _npz(path: Path, names: list[str]) -> tuple[dict[str, list[str]], int]:
    """Arrays (n,) are columns of their name, and those (n, k) are k columns ``name.0``, ``name.1``, ..."""
    from annotate.importing.arrays import ArrayFiles

    found: dict[str, Any] = {}
    with ArrayFiles([path]) as arrays:
        for name in arrays.names():
            array = arrays.get(name)
            if array.ndim == 1:
                found[name] = array
            elif array.ndim == 2:
                found |= {f"{name}.{i}": array[:, i] for i in range(array.shape[1])}
            elif not names:
                found[name] = array
    _require(names, list(found))
    lengths = {len(found[name]) for name in names or list(found)[:1]}
    if len(lengths) > 1:
        raise CorpusError(
            f"the arrays of {path} have different lengths: {sorted(lengths)}", hint="name others"
        )
    return {name: _array_texts(found[name]) for name in names}, max(lengths, default=0)


def _array_texts(array: np.ndarray[Any, Any]) -> list[str]:
    if array.dtype.kind == "f":
        # The shortest text that is this number in its own precision: 0.2 rather than 0.200000003.
        return ["" if np.isnan(value) else str(value) for value in array]
    return [text_of(value) for value in array.tolist()]


def _texts(column: Any) -> list[str]:
    """Of a pandas column, whatever its type."""
    if column.dtype.kind == "f":
        return _array_texts(column.to_numpy())
    missing: Mapping[int, bool] = column.isna().to_numpy()
    return ["" if gone else text_of(value) for value, gone in zip(column, missing, strict=True)]


def text_of(value: object) -> str:
    """A cell or an id; bytes, as arrays of old programs hold text, are UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
