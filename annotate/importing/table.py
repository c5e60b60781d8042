"""Reads a table of samples, or of single answers, with feature arrays beside it."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from annotate.errors import CorpusError, UsageError
from annotate.importing.answers import answer_of, find_task, stored
from annotate.importing.arrays import ArrayFiles, ArrayFrames, require_rows
from annotate.importing.columns import CELL_BYTES, fingerprint, read_columns, text_of
from annotate.importing.corpus import Corpus, Utterance, Vote
from annotate.importing.mapping import MODALITIES, TableMap
from annotate.importing.shared import DEFAULT_MEMORY_GB
from annotate.types import UNIMODAL, Modality, Split, Task

SPLITS = {
    "train": Split.TRAIN, "training": Split.TRAIN, "trn": Split.TRAIN,
    "valid": Split.VALID, "validation": Split.VALID, "val": Split.VALID, "dev": Split.VALID,
    "development": Split.VALID,
    "test": Split.TEST, "testing": Split.TEST, "tst": Split.TEST,
}  # fmt: skip
"""What others call our splits, in small letters."""
MOST_VOTES = 1_000
"""Of one answer, in one cell: more is no count of raters."""
LONGEST_RATER = 500
"""Bytes of a rater's name in UTF-8: Postgres keeps no longer ones (about 2,700 bytes) in an index."""


@dataclass(frozen=True, slots=True)
class TableSource:
    """What is read, and how."""

    table: Path
    features: Sequence[Path]
    names: TableMap
    memory_gb: float = DEFAULT_MEMORY_GB
    """What the table and the arrays may take in memory each, in 1e9 bytes."""

    @property
    def long(self) -> bool:
        """Whether a sample may have several rows."""
        return bool(self.names.votes or self.names.rater or self.names.modality)


def read_table(source: TableSource, tasks: Sequence[Task]) -> Corpus:
    """Everything that the table and its feature files say.

    Raises `UsageError` for files and names that cannot be, `CorpusError` for content that cannot.
    """
    names = source.names
    _require_sense(source)
    _require_dimensions(names, tasks)
    cells = read_columns(source.table, names.columns(), source.memory_gb)
    rows = len(next(iter(cells.values())))
    # Only names of the map ever get here, so that an empty one is a column of nothing.
    cells[""] = [""] * rows
    keys = _keys(cells[names.id], names.id)
    places: dict[str, int] = {}
    first: list[int] = []
    for row, key in enumerate(keys):
        if key not in places:
            places[key] = len(first)
            first.append(row)
        elif not source.long:
            raise CorpusError(
                f"row {row + 1}: the id {key!r} stands in row {first[places[key]] + 1} already",
                hint="give each sample an id of its own; or name the column of --rater, or say --votes, "
                "if a row is one answer",
            )
    _require_same(cells, names, keys, places, first)
    features, notes = _features(source, [keys[row] for row in first])
    return Corpus(
        file=source.table.name,
        sha256=fingerprint(source.table),
        utterances=_utterances(cells, names, keys, first),
        votes=_votes(source, cells, keys, places, tasks),
        tasks=_spoken_of(names),
        features=features,
        tells_split=bool(names.split),
        notes=tuple(notes),
    )


def _require_sense(source: TableSource) -> None:
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
        raise UsageError("an array is named, and no file", hint="say --features FILE.npz")
    if source.long and not names.id:
        raise UsageError("rows of answers need to say which sample they are about", hint="say --id COLUMN")


def _require_dimensions(names: TableMap, tasks: Sequence[Task]) -> None:
    """Raise `UsageError` for words of a dimension that is not there."""
    known = list(dict.fromkeys(task.dimension.name for task in tasks))
    for name in names.value:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            raise UsageError(
                f"--value: no dimension of this project is called {name!r}",
                hint=f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}",
            )


def _keys(cells: Sequence[str], column: str) -> list[str]:
    if not column:
        width = len(str(max(len(cells) - 1, 0)))
        return [f"{row:0{width}d}" for row in range(len(cells))]
    row = next((i for i, cell in enumerate(cells) if not cell.strip()), None)
    if row is not None:
        raise CorpusError(f"row {row + 1}: {column} is empty", hint="give every sample an id")
    return [cell.strip() for cell in cells]


def _require_same(
    cells: Mapping[str, Sequence[str]], names: TableMap, keys: Sequence[str], places: Mapping[str, int],
    first: Sequence[int],
) -> None:  # fmt: skip
    """Of a sample with several rows, all say the same of it."""
    if len(first) == len(keys):
        return
    for column in filter(None, (names.video, names.speaker, names.split, names.text, names.start, names.end)):
        said = cells[column]
        for row, key in enumerate(keys):
            if said[row] != said[first[places[key]]]:
                raise CorpusError(
                    f"row {row + 1}: {column} of {key!r} is {said[row]!r}, and was "
                    f"{said[first[places[key]]]!r} in row {first[places[key]] + 1}",
                    hint="one sample has one text, one speaker and one split",
                )


def _utterances(
    cells: Mapping[str, Sequence[str]], names: TableMap, keys: Sequence[str], first: Sequence[int]
) -> list[Utterance]:
    video, speaker, text, split = (cells[c] for c in (names.video, names.speaker, names.text, names.split))
    seen: Counter[str] = Counter()
    found = []
    for row in first:
        name = video[row].strip() or keys[row]
        # Without times, the order of a video's rows is all that is known.
        start, end = seen[name], seen[name]
        if names.start:
            start, end = (_microseconds(cells[c][row], c, row) for c in (names.start, names.end))
            if end < start:
                raise CorpusError(
                    f"row {row + 1}: {names.end} is before {names.start}",
                    hint="mend that row, or see whether --start and --end are the wrong way round",
                )
        seen[name] += 1
        found.append(
            Utterance(
                keys[row], name, speaker[row].strip(), to_split(split[row], f"row {row + 1}"),
                text[row].strip(), start, end,
            )
        )  # fmt: skip
    return found


def _microseconds(cell: str, column: str, row: int) -> int:
    try:
        seconds = float(cell)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e9:
        raise CorpusError(
            f"row {row + 1}: {column} is {cell!r}",
            hint="times are seconds from the start of the video, as 12.5",
        )
    return round(seconds * 1e6)


def to_split(word: str, where: str) -> Split | None:
    """The split that a corpus calls so; None for an empty word.

    Raises `CorpusError` for a word that nobody uses.
    """
    word = word.strip().lower()
    if not word:
        return None
    if word not in SPLITS:
        close = get_close_matches(word, SPLITS, n=1)
        raise CorpusError(
            f"{where}: {word!r} is no split",
            hint=f"did you mean {close[0]!r}?"
            if close
            else f"known: {', '.join(SPLITS)}; or leave --split out",
        )
    return SPLITS[word]


def _votes(
    source: TableSource, cells: Mapping[str, Sequence[str]], keys: Sequence[str], places: Mapping[str, int],
    tasks: Sequence[Task],
) -> list[Vote]:  # fmt: skip
    """The labels, then what is counted, by voters who are numbered on through the rows of a sample."""
    heard = _Heard(source, cells, keys)
    votes = [
        Vote(places[keys[row]], task_id, heard.raters[row], said)
        for row, task_id, said in _labelled(source.names, heard, cells, tasks)
    ]
    # Without --votes, a label is of the corpus as a whole, whom no voter can be taken for.
    voters = {(v.place, v.task_id): int(v.rater) for v in votes} if source.names.votes else {}
    for row, task_id, said in _counted(source.names, heard, cells, tasks):
        place = places[keys[row]]
        number = voters[place, task_id] = voters.get((place, task_id), 0) + 1
        votes.append(Vote(place, task_id, str(number), said))
    return votes


def _labelled(
    names: TableMap, heard: "_Heard", cells: Mapping[str, Sequence[str]], tasks: Sequence[Task]
) -> Iterator[tuple[int, str, str]]:
    """(row, task id, answer) of each cell that holds one."""
    for name, column in names.label.items():
        for modality, rows in heard.rows.items():
            task = find_task(heard.task_id(name, modality), tasks, cells[column])
            renamed = names.value.get(task.dimension.name, {})
            seen: dict[str, str | None] = {}
            for row in rows:
                cell = cells[column][row].strip()
                if cell not in seen:
                    seen[cell] = stored(cell, task, f"row {row + 1}", renamed, cells[column])
                said = seen[cell]
                if said is not None:
                    yield row, task.id, said


def _counted(
    names: TableMap, heard: "_Heard", cells: Mapping[str, Sequence[str]], tasks: Sequence[Task]
) -> Iterator[tuple[int, str, str]]:
    """(row, task id, answer) of each vote that a column counts."""
    for name, columns in names.count.items():
        for modality, rows in heard.rows.items():
            task = find_task(heard.task_id(name, modality), tasks, list(columns))
            renamed = names.value.get(task.dimension.name, {})
            answers = [(answer_of(a, task, "--count", renamed), cells[c], c) for a, c in columns.items()]
            for row in rows:
                for answer, counts, column in answers:
                    yield from [(row, task.id, answer)] * _count(counts[row], column, row)


def _spoken_of(names: TableMap) -> frozenset[str]:
    """Of a dimension every task, though its column may name some modalities only."""
    said = {*names.label, *names.count}
    if not names.modality:
        return frozenset(said)
    return frozenset(f"{dimension}.{m.value}" for dimension in said for m in Modality)


class _Heard:
    """Who gave the answers of each row, and on what."""

    def __init__(self, source: TableSource, cells: Mapping[str, Sequence[str]], keys: Sequence[str]) -> None:
        names = source.names
        self._told = bool(names.modality)
        said: list[Modality | None] = [None] * len(keys)
        if self._told:
            said = [_modality(cell, names.modality, row) for row, cell in enumerate(cells[names.modality])]
        self.rows: dict[Modality | None, list[int]] = {}
        for row, modality in enumerate(said):
            self.rows.setdefault(modality, []).append(row)
        of = list(zip(keys, said, strict=True))
        self.raters = [""] * len(keys)
        if names.rater:
            self.raters = [_rater(cell, names.rater, row) for row, cell in enumerate(cells[names.rater])]
        elif names.votes:
            counts: Counter[tuple[str, Modality | None]] = Counter()
            for row, key in enumerate(of):
                counts[key] += 1
                self.raters[row] = str(counts[key])
        _require_once(of, self.raters)

    def task_id(self, name: str, modality: Modality | None) -> str:
        """Of a label that is named by its task, or by its dimension where a column tells the rest."""
        return f"{name}.{modality.value}" if modality is not None else name


def _require_once(of: Iterable[tuple[str, Modality | None]], raters: Sequence[str]) -> None:
    seen: dict[tuple[str, Modality | None, str], int] = {}
    for row, (key, rater) in enumerate(zip(of, raters, strict=True)):
        before = seen.setdefault((*key, rater), row)
        if before != row:
            whose = f" by {rater!r}" if rater else ""
            raise CorpusError(
                f"row {row + 1}: {key[0]!r} was answered{whose} in row {before + 1} already",
                hint="a rater answers once; say --votes instead of --rater if nobody knows who they are",
            )


def _modality(cell: str, column: str, row: int) -> Modality:
    found = MODALITIES.get(cell.strip().lower())
    if found is None:
        raise CorpusError(
            f"row {row + 1}: {column} is {cell!r}, and no modality", hint=f"known: {', '.join(MODALITIES)}"
        )
    return found


def _rater(cell: str, column: str, row: int) -> str:
    if not cell.strip():
        raise CorpusError(
            f"row {row + 1}: {column} is empty", hint="name every rater; or say --votes instead"
        )
    name = cell.strip()
    if len(name.encode()) > LONGEST_RATER:
        raise CorpusError(
            f"row {row + 1}: {column} has {len(name)} characters, beginning with {name[:20]!r}",
            hint=f"a rater's name has at most {LONGEST_RATER} bytes: name another column, or shorten it",
        )
    return name


def _count(cell: str, column: str, row: int) -> int:
    try:
        number = float(cell or 0)
    except ValueError:
        number = math.nan
    if not 0 <= number <= MOST_VOTES or number != int(number):
        raise CorpusError(
            f"row {row + 1}: {column} is {cell!r}, and no number of votes", hint=f"from 0 to {MOST_VOTES}"
        )
    return int(number)


def _features(source: TableSource, keys: Sequence[str]) -> tuple[dict[Modality, ArrayFrames], list[str]]:
    """The features of each modality, and what was left aside."""
    if not source.features:
        return {}, []
    names = source.names
    with ArrayFiles(source.features, source.memory_gb) as files:
        known = files.names()
        named = _arrays(names, known)
        arrays = {word: files.get(name) for word, name in named.items()}
        lengths = {word: files.get(name) for word, name in names.length.items()}
        ids = _ids(files.get(names.feature_id, CELL_BYTES), names.feature_id) if names.feature_id else None
    rows = None if ids is None else _rows_by_id(ids, keys, names.feature_id)
    total = len(keys) if ids is None else len(ids)
    require_rows(
        {named[w]: a for w, a in arrays.items()} | {names.length[w]: a for w, a in lengths.items()}, total
    )
    found = {
        m: ArrayFrames(arrays[m.word], named[m.word], rows, lengths.get(m.word), cut_zeros=names.cut_padding)
        for m in UNIMODAL
        if m.word in arrays
    }
    return found, _left_aside(named, known)


def _arrays(names: TableMap, known: Sequence[str]) -> Mapping[str, str]:
    """By modality: its array, of those that are `known`."""
    named = names.feature or {m.word: m.word for m in UNIMODAL if m.word in known}
    if not named:
        raise CorpusError(
            f"no array is called text, audio or vision ({', '.join(known) or 'there is none'})",
            hint="say which is which, as in --feature audio=KEY",
        )
    for word in names.length:
        if word not in named:
            raise UsageError(
                f"--length names {word}, and no array of it is read",
                hint=f"say --feature {word}=ARRAY too, or leave that --length out",
            )
    return named


def _left_aside(named: Mapping[str, str], known: Sequence[str]) -> list[str]:
    # Not read unasked: whoever names arrays may want these not at all.
    return [
        f"the array {m.word!r} is left aside; say --feature {m.word}={m.word} to read it too"
        for m in UNIMODAL
        if m.word in known and m.word not in named and m.word not in named.values()
    ]


def _ids(array: NDArray[Any], name: str) -> list[str]:
    if array.ndim != 1:
        raise CorpusError(
            f"the array {name!r} is of shape {array.shape}", hint="--feature-id names one with an id per row"
        )
    return [text_of(one).strip() for one in array.tolist()]


def _rows_by_id(ids: Sequence[str], keys: Sequence[str], name: str) -> list[int | None]:
    """Where the features of each sample are; None for one that has none."""
    at = {key: row for row, key in enumerate(ids)}
    if len(at) < len(ids):
        twice = next(key for key, n in Counter(ids).items() if n > 1)
        raise CorpusError(f"the array {name!r} has the id {twice!r} twice", hint="each id once")
    found = [at.get(key) for key in keys]
    if all(row is None for row in found):
        raise CorpusError(
            f"no id of the array {name!r}, such as {ids[0] if ids else ''!r}, is in the table",
            hint="see that both write ids alike",
        )
    return found
