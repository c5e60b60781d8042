"""Tables as columns of text: CSV, Parquet, or the one- and two-dimensional arrays of an ``.npz`` file."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
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
"""Characters: more is a quote that was never closed, or no utterance."""
_SNIFFED = 65_536
"""Characters of a header."""
CELL_BYTES = 64
"""What a cell takes as text, at least."""
_COLUMNS_SHOWN = 1_000
"""Of an array: more are made up for no hint."""


def fingerprint(path: Path) -> str:
    """sha256 of the content. Raises `UsageError` for what is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="name a file") from error


def read_columns(
    path: Path, wanted: Iterable[str], memory_gb: float = DEFAULT_MEMORY_GB
) -> dict[str, list[str]]:
    """The wanted columns by name, text as it stands there (``0001`` stays so), empty where nothing is.

    Without any wanted column, a column with an empty name tells how many rows there are. Raises
    `CorpusError` for what cannot be read, a column that is missing, a table without rows, and one that
    announces more than fits into `memory_gb` (1e9 bytes).
    """
    names = list(dict.fromkeys(wanted))
    readers: dict[str, Callable[[Path, list[str]], tuple[dict[str, list[str]], int]]] = {
        ".csv": _csv, ".tsv": _csv,
        ".parquet": partial(_parquet, memory_gb=memory_gb), ".npz": partial(_npz, memory_gb=memory_gb),
    }  # fmt: skip
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
    """Raise `CorpusError` for halves of signs and U+0000, which no database takes."""
    for row, cell in enumerate(cells):
        if "\0" in cell:
            raise CorpusError(
                f"row {row + 1}: {name} is {cell[:80]!a}, with a character U+0000, which no database stores",
                hint="take it out of the table",
            )
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"row {row + 1}: {name} is {cell[:80]!a}, which is no text",
                hint=r"a \ud800 to \udfff is half of a sign: mend it, or leave it out",
            ) from error


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


def _parquet(path: Path, names: list[str], memory_gb: float) -> tuple[dict[str, list[str]], int]:
    if find_spec("pyarrow") is None:
        raise CorpusError(
            f"{path} takes the package pyarrow to read", hint="pip install -e '.[parquet]', or save it as CSV"
        )
    import pandas as pd
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            _require(names, file.schema_arrow.names)
            rows = file.metadata.num_rows
            _require_memory(path, rows, len(names), _parquet_bytes(file.metadata, names), memory_gb)
        # As dictionaries, words that come again and again take the memory of one.
        table = pd.read_parquet(path, columns=names, read_dictionary=names) if names else None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorpusError(f"{path} is no Parquet file: {error}", hint="get the file again") from error
    return {} if table is None else {name: _texts(table[name]) for name in names}, rows


def _parquet_bytes(metadata: Any, names: Sequence[str]) -> int:
    """How many bytes the wanted columns are announced to have, not compressed."""
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    columns = (group.column(i) for group in groups for i in range(group.num_columns))
    return sum(
        column.total_uncompressed_size
        for column in columns
        if column.path_in_schema.partition(".")[0] in names
    )


def _npz(path: Path, names: list[str], memory_gb: float) -> tuple[dict[str, list[str]], int]:
    """Arrays (n,) are columns of their name, and those (n, k) are k columns ``name.0``, ``name.1``, ..."""
    found: dict[str, list[str]] = {}
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
        whole = {source: arrays.get(source) for source in dict.fromkeys(source for source, _ in sources)}
    for name, (source, column) in zip(names, sources, strict=True):
        found[name] = _array_texts(whole[source] if column is None else whole[source][:, column])
    return found, count


def _npz_source(name: str, arrays: ArrayFiles) -> tuple[str, int | None]:
    """The array that a column is, and its place in it where that has two dimensions.

    Raises `CorpusError` when there is no such column, or its array is damaged or holds objects.
    """
    whole, _, place = name.rpartition(".")
    if name in arrays.names() and len(arrays.shape(name)) == 1:
        return name, None
    if whole in arrays.names() and place.isascii() and place.isdecimal():
        shape = arrays.shape(whole)
        if len(shape) == 2 and int(place) < shape[1]:
            return whole, int(place)
    raise missing_name("column", name, _npz_columns(arrays))


def _npz_columns(arrays: ArrayFiles) -> list[str]:
    """What the columns are called, of those arrays that can be read."""
    found: list[str] = []
    for name in arrays.names():
        try:
            shape = arrays.shape(name)
        except CorpusError:
            continue
        if len(shape) == 1:
            found.append(name)
        elif len(shape) == 2:
            found += [f"{name}.{column}" for column in range(min(shape[1], _COLUMNS_SHOWN))]
    return found


def _require_memory(path: Path, rows: int, columns: int, size: int, memory_gb: float) -> None:
    """Raise `CorpusError` for a table that, as text, would take more memory than may be used.

    `size` is how many bytes its columns are announced to have, apart from what each cell takes.
    """
    needed = (rows * max(columns, 1) * CELL_BYTES + size) / 1e9
    if needed > memory_gb:
        raise CorpusError(
            f"{path} announces {counted(rows, 'row')}: for all of this, {needed:.3g} GB of memory "
            "would be needed, and "
            f"{memory_gb:g} GB may be used",
            hint=f"say --memory {int(needed) + 1} if this machine has so much",
        )


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
