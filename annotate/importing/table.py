"""Reads a table of samples, or of single answers, and the feature arrays that belong to it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from annotate.errors import CorpusError, UsageError
from annotate.importing.arrays import ArrayFiles, ArrayFrames, require_rows
from annotate.importing.columns import CELL_BYTES, fingerprint, read_columns, text_of
from annotate.importing.corpus import Corpus, Utterance
from annotate.importing.mapping import TableMap
from annotate.importing.shared import DEFAULT_MEMORY_GB
from annotate.importing.votes import covered_tasks, read_votes
from annotate.types import UNIMODAL, Modality, Split, Task

SPLITS = {
    "train": Split.TRAIN, "training": Split.TRAIN, "trn": Split.TRAIN,
    "valid": Split.VALID, "validation": Split.VALID, "val": Split.VALID, "dev": Split.VALID,
    "development": Split.VALID,
    "test": Split.TEST, "testing": Split.TEST, "tst": Split.TEST,
}  # fmt: skip
"""Names of splits in other corpora, in lower case."""


@dataclass(frozen=True, slots=True)
class TableSource:
    """The files to read, and the meaning of their columns and arrays."""

    table: Path
    features: Sequence[Path]
    names: TableMap
    memory_gb: float = DEFAULT_MEMORY_GB
    """Memory that the table and the arrays may take each, in 1e9 bytes."""

    @property
    def long(self) -> bool:
        """Whether a sample may have several rows."""
        return bool(self.names.votes or self.names.rater or self.names.modality)


def read_table(source: TableSource, tasks: Sequence[Task]) -> Corpus:
    """The corpus in the table and its feature files.

    Raises `UsageError` for files and names that do not exist or contradict each other, `CorpusError` for
    content that cannot be used.
    """
    names = source.names
    _require_consistent(source, tasks)
    cells = read_columns(source.table, names.columns(), source.memory_gb)
    rows = len(next(iter(cells.values())))
    # A column that is not named reads as empty cells.
    cells[""] = [""] * rows
    if names.id:
        keys = [cell.strip() for cell in cells[names.id]]
        if "" in keys:
            raise CorpusError(
                f"row {keys.index('') + 1}: {names.id} is empty", hint="give every sample an id"
            )
    else:
        width = len(str(max(rows - 1, 0)))
        keys = [f"{row:0{width}d}" for row in range(rows)]
    positions: dict[str, int] = {}
    first_rows: list[int] = []
    for row, key in enumerate(keys):
        if key not in positions:
            positions[key] = len(first_rows)
            first_rows.append(row)
        elif not source.long:
            raise CorpusError(
                f"row {row + 1}: the id {key!r} is in row {first_rows[positions[key]] + 1} already",
                hint="give each sample an id of its own; or name the column of --rater, or say --votes, "
                "if a row is one answer",
            )
    _require_equal_rows(cells, names, keys, [first_rows[positions[key]] for key in keys])
    features, notes = _features(source, [keys[row] for row in first_rows])
    return Corpus(
        file=source.table.name,
        sha256=fingerprint(source.table),
        utterances=_utterances(cells, names, keys, first_rows),
        votes=read_votes(names, cells, keys, positions, tasks),
        tasks=covered_tasks(names),
        features=features,
        has_splits=bool(names.split),
        notes=tuple(notes),
    )


def _require_consistent(source: TableSource, tasks: Sequence[Task]) -> None:
    """Raise `UsageError` for flags that contradict each other, or a --value of an unknown dimension."""
    names = source.names
    if names.votes and names.rater:
        raise UsageError(
            "--votes means that nobody knows the raters, and --rater names them", hint="say one of them"
        )
    if names.count and names.rater:
        raise UsageError(
            "--rater means that a row is one answer, and --count that it holds those of several",
            hint="say --count without --rater; or --label instead of --count",
        )
    if bool(names.start) != bool(names.end):
        raise UsageError("--start and --end belong together", hint="name both columns, or none")
    if (names.feature or names.feature_id or names.length) and not source.features:
        raise UsageError("an array is named, but no file", hint="say --features FILE.npz")
    if source.long and not names.id:
        raise UsageError("rows of answers need the id of their sample", hint="say --id COLUMN")
    known = list(dict.fromkeys(task.dimension.name for task in tasks))
    for name in names.value:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            raise UsageError(
                f"--value: no dimension of this project is called {name!r}",
                hint=f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}",
            )


def _require_equal_rows(
    cells: Mapping[str, Sequence[str]], names: TableMap, keys: Sequence[str], first_rows: Sequence[int]
) -> None:
    """Raise `CorpusError` when the rows of one sample differ; `first_rows` has the first for each row."""
    for column in filter(None, (names.video, names.speaker, names.split, names.text, names.start, names.end)):
        values = cells[column]
        for row, (key, first) in enumerate(zip(keys, first_rows, strict=True)):
            if values[row] != values[first]:
                raise CorpusError(
                    f"row {row + 1}: {column} of {key!r} is {values[row]!r}, and was "
                    f"{values[first]!r} in row {first + 1}",
                    hint="one sample has one text, one speaker and one split",
                )


def _utterances(
    cells: Mapping[str, Sequence[str]], names: TableMap, keys: Sequence[str], first_rows: Sequence[int]
) -> list[Utterance]:
    video, speaker, text, split = (cells[c] for c in (names.video, names.speaker, names.text, names.split))
    counts: Counter[str] = Counter()
    utterances = []
    for row in first_rows:
        name = video[row].strip() or keys[row]
        # Without times, the order of a video's rows is all that is known.
        start, end = counts[name], counts[name]
        if names.start:
            start, end = (_microseconds(cells[c][row], c, row) for c in (names.start, names.end))
            if end < start:
                raise CorpusError(
                    f"row {row + 1}: {names.end} is before {names.start}",
                    hint="fix that row, or check whether --start and --end are the wrong way round",
                )
        counts[name] += 1
        utterances.append(
            Utterance(
                keys[row], name, speaker[row].strip(), to_split(split[row], f"row {row + 1}"),
                text[row].strip(), start, end,
            )
        )  # fmt: skip
    return utterances


def _microseconds(cell: str, column: str, row: int) -> int:
    try:
        seconds = float(cell)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e9:
        raise CorpusError(
            f"row {row + 1}: {column} is {cell!r}",
            hint="times are seconds from the start of the video, such as 12.5",
        )
    return round(seconds * 1e6)


def to_split(word: str, where: str) -> Split | None:
    """The split that a corpus means by `word`; None for an empty one.

    Raises `CorpusError` for an unknown word.
    """
    word = word.strip().lower()
    if not word:
        return None
    if word not in SPLITS:
        close = get_close_matches(word, SPLITS, n=1)
        raise CorpusError(
            f"{where}: {word!r} is not a split",
            hint=f"did you mean {close[0]!r}?"
            if close
            else f"known: {', '.join(SPLITS)}; or leave --split out",
        )
    return SPLITS[word]


def _features(source: TableSource, keys: Sequence[str]) -> tuple[dict[Modality, ArrayFrames], list[str]]:
    """The features of each modality, and a note for each array that is not read."""
    if not source.features:
        return {}, []
    names = source.names
    with ArrayFiles(source.features, source.memory_gb) as files:
        known = files.names()
        named = _array_names(names, known)
        arrays = {word: files.get(name) for word, name in named.items()}
        lengths = {word: files.get(name) for word, name in names.length.items()}
        ids = files.get(names.feature_id, CELL_BYTES) if names.feature_id else None
    rows = None if ids is None else _rows_by_id(ids, keys, names.feature_id)
    total = len(keys) if ids is None else len(ids)
    require_rows(
        {named[w]: a for w, a in arrays.items()} | {names.length[w]: a for w, a in lengths.items()}, total
    )
    features = {
        m: ArrayFrames(arrays[m.word], named[m.word], rows, lengths.get(m.word), cut_zeros=names.cut_padding)
        for m in UNIMODAL
        if m.word in arrays
    }
    # An array that is not named may be unwanted, so it is not read unless the user asks for it.
    notes = [
        f"the array {m.word!r} was not read; say --feature {m.word}={m.word} to read it too"
        for m in UNIMODAL
        if m.word in known and m.word not in named and m.word not in named.values()
    ]
    return features, notes


def _array_names(names: TableMap, known: Sequence[str]) -> Mapping[str, str]:
    """By modality: the name of its array; without --feature, those arrays that are called like it."""
    named = names.feature or {m.word: m.word for m in UNIMODAL if m.word in known}
    if not named:
        raise CorpusError(
            f"no array is called text, audio or vision ({', '.join(known) or 'there is none'})",
            hint="say which is which, as in --feature audio=KEY",
        )
    for word in names.length:
        if word not in named:
            raise UsageError(
                f"--length names {word}, but no array of it is read",
                hint=f"say --feature {word}=ARRAY too, or leave that --length out",
            )
    return named


def _rows_by_id(array: NDArray[Any], keys: Sequence[str], name: str) -> list[int | None]:
    """The row of each sample's features according to an array of ids; None for a sample without."""
    if array.ndim != 1:
        raise CorpusError(
            f"the array {name!r} has shape {array.shape}", hint="--feature-id names one with an id per row"
        )
    ids = [text_of(value).strip() for value in array.tolist()]
    row_of = {key: row for row, key in enumerate(ids)}
    if len(row_of) < len(ids):
        twice = next(key for key, n in Counter(ids).items() if n > 1)
        raise CorpusError(f"the array {name!r} has the id {twice!r} twice", hint="each id once")
    rows = [row_of.get(key) for key in keys]
    if all(row is None for row in rows):
        raise CorpusError(
            f"no id of the array {name!r}, such as {ids[0] if ids else ''!r}, is in the table",
            hint="check that both spell the ids in the same way",
        )
    return rows
