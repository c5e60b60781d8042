"""Reads columns of tables as text: CSV, Parquet, or one- and two-dimensional arrays of an ``.npz`` file."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from annotate.errors import CorpusError, UsageError
from annotate.importing.arrays import ArrayFiles
from annotate.importing.shared import DEFAULT_MEMORY_GB, missing_name
from annotate.wording import counted

LONGEST_CELL = 100_000
"""Characters: a longer cell has a quote that was never closed, or is not an utterance."""
_LONGEST_HEADER = 65_536
"""Characters of the first line in which the delimiter is searched."""
CELL_BYTES = 64
"""Memory that a cell takes as text, at least."""
_COLUMNS_LISTED = 1_000
"""Most columns of one array that a hint considers."""


def fingerprint(path: Path) -> str:
    """sha256 of the file's content. Raises `UsageError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="name a file") from error


def read_columns(
    path: Path, wanted: Iterable[str], memory_gb: float = DEFAULT_MEMORY_GB
) -> dict[str, list[str]]:
    """The wanted columns by name, as text: ``0001`` keeps its zeros, and a missing cell is empty.

    Without any wanted column, one with an empty name shows the number of rows.

    Raises `CorpusError` for a table that cannot be read, has no rows or would not fit into `memory_gb`
    (1e9 bytes), and for a missing column.
    """
    names = list(dict.fromkeys(wanted))
    readers: dict[str, Callable[[Path, list[str]], tuple[dict[str, list[str]], int]]] = {
        ".csv": _csv, ".tsv": _csv,
        ".parquet": partial(_parquet, memory_gb=memory_gb), ".npz": partial(_npz, memory_gb=memory_gb),
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path} is not a table", hint=f"its name ends in one of {', '.join(readers)}")
    columns, rows = reader(path, names)
    if not rows:
        raise CorpusError(f"{path} has no rows", hint="name a table with one row per sample")
    for name, cells in columns.items():
        _require_storable(name, cells)
    return columns or {"": [""] * rows}


def _require_storable(name: str, cells: Sequence[str]) -> None:
    """Raise `CorpusError` for too long cells, surrogates and U+0000, which no database stores."""
    for row, cell in enumerate(cells):
        if len(cell) > LONGEST_CELL:
            raise CorpusError(
                f"row {row + 1}: {name} has {len(cell)} characters",
                hint="a quote in front of it may never be closed; "
                f"a cell has at most {LONGEST_CELL} characters",
            )
        if "\0" in cell:
            raise CorpusError(
                f"row {row + 1}: {name} is {cell[:80]!a}, with a character U+0000, which no database stores",
                hint="remove it from the table",
            )
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"row {row + 1}: {name} is {cell[:80]!a}, which is not valid text",
                hint=r"\ud800 to \udfff are halves of characters: fix the cell, or leave it empty",
            ) from error


def _require_columns(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise missing_name("column", name, known)
        if list(known).count(name) > 1:
            raise CorpusError(f"two columns are called {name!r}", hint="rename one of them")


def _csv(path: Path, names: list[str]) -> tuple[dict[str, list[str]], int]:
    columns: dict[str, list[str]] = {name: [] for name in names}
    rows = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline(_LONGEST_HEADER).count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(reader, [])
            _require_columns(names, header)
            positions = [(columns[name], header.index(name)) for name in names]
            for cells in reader:
                if not cells:
                    continue
                rows += 1
                if len(cells) != len(header):
                    raise CorpusError(
                        f"{path}: row {rows} has {len(cells)} cells, and the header {len(header)}",
                        hint="fix that row",
                    )
                for column, position in positions:
                    column.append(cells[position])
    except csv.Error as error:
        raise CorpusError(
            f"{path} is not valid CSV after row {rows}: {error}",
            hint="check whether a quote is never closed there",
        ) from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8: {error}", hint="save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="name a file") from error
    return columns, rows


def _parquet(path: Path, names: list[str], memory_gb: float) -> tuple[dict[str, list[str]], int]:
    if find_spec("pyarrow") is None:
        raise CorpusError(
            f"reading {path} needs the package pyarrow", hint="pip install -e '.[parquet]', or save it as CSV"
        )
    import pandas as pd
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            _require_columns(names, file.schema_arrow.names)
            rows = file.metadata.num_rows
            groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
            chunks = (group.column(i) for group in groups for i in range(group.num_columns))
            size = sum(
                chunk.total_uncompressed_size
                for chunk in chunks
                if chunk.path_in_schema.partition(".")[0] in names
            )
            _require_memory(path, rows, len(names), size, memory_gb)
        # As dictionaries, repeated words take the memory of one.
        table = pd.read_parquet(path, columns=names, read_dictionary=names) if names else pd.DataFrame()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorpusError(f"{path} is not a Parquet file: {error}", hint="get the file again") from error
    columns: dict[str, list[str]] = {}
    for name in names:
        column = table[name]
        if column.dtype.kind == "f":
            columns[name] = _array_texts(column.to_numpy())
        else:
            missing = column.isna().to_numpy()
            cells = zip(column, missing, strict=True)
            columns[name] = ["" if is_na else text_of(value) for value, is_na in cells]
    return columns, rows


def _npz(path: Path, names: list[str], memory_gb: float) -> tuple[dict[str, list[str]], int]:
    """An array (n,) is a column of its name, an array (n, k) is k columns ``name.0``, ``name.1``, ..."""
    with ArrayFiles([path], memory_gb) as arrays:
        sources = [_npz_source(name, arrays) for name in names]
        rows = {arrays.shape(source)[0] for source, _ in sources}
        if not names:
            shapes = [shape for name in arrays.names() if (shape := arrays.shape(name))]
            rows = {shape[0] for shape in shapes[:1]}
        if len(rows) > 1:
            raise CorpusError(
                f"the arrays of {path} have different lengths: {sorted(rows)}", hint="name others"
            )
        count = max(rows, default=0)
        _require_memory(path, count, len(names), 0, memory_gb)
        loaded = {source: arrays.get(source) for source in dict.fromkeys(source for source, _ in sources)}
    columns = {
        name: _array_texts(loaded[source] if column is None else loaded[source][:, column])
        for name, (source, column) in zip(names, sources, strict=True)
    }
    return columns, count


def _npz_source(name: str, arrays: ArrayFiles) -> tuple[str, int | None]:
    """The array of a column, and the column's position in it where the array has two dimensions.

    Raises `CorpusError` when there is no such column, or its array is damaged or holds objects.
    """
    array, _, position = name.rpartition(".")
    if name in arrays.names() and len(arrays.shape(name)) == 1:
        return name, None
    if array in arrays.names() and position.isascii() and position.isdecimal():
        shape = arrays.shape(array)
        if len(shape) == 2 and int(position) < shape[1]:
            return array, int(position)
    known: list[str] = []
    for each in arrays.names():
        try:
            shape = arrays.shape(each)
        except CorpusError:  # that array cannot be read, so it is no suggestion
            continue
        if len(shape) == 1:
            known.append(each)
        elif len(shape) == 2:
            known += [f"{each}.{column}" for column in range(min(shape[1], _COLUMNS_LISTED))]
    raise missing_name("column", name, known)


def _require_memory(path: Path, rows: int, columns: int, size: int, memory_gb: float) -> None:
    """Raise `CorpusError` for a table that would take more memory as text than may be used.

    `size` is the size of its columns in bytes, according to the file; each cell takes `CELL_BYTES` more.
    """
    needed = (rows * max(columns, 1) * CELL_BYTES + size) / 1e9
    if needed > memory_gb:
        raise CorpusError(
            f"{path} announces {counted(rows, 'row')}: reading it would need {needed:.3g} GB of memory, "
            f"and {memory_gb:g} GB may be used",
            hint=f"say --memory {int(needed) + 1} if this machine has so much",
        )


def _array_texts(array: np.ndarray[Any, Any]) -> list[str]:
    if array.dtype.kind == "f":
        # The shortest text that is this number in its own precision: 0.2 rather than 0.200000003.
        return ["" if np.isnan(value) else str(value) for value in array]
    return [text_of(value) for value in array.tolist()]


def text_of(value: object) -> str:
    """A cell or an id as text; bytes, in which old programs store text, are taken for UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
