"""Reads the answers of a table: one per row, one column per task, or columns that count votes."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from annotate.errors import CorpusError
from annotate.importing.answers import find_task, parse_answer, require_answer
from annotate.importing.corpus import Vote
from annotate.importing.mapping import MODALITIES, TableMap
from annotate.types import Modality, Task

MOST_VOTES = 1_000
"""Largest count of votes for one answer: a larger number is not a count of raters."""
LONGEST_RATER = 500
"""Bytes of a rater's name in UTF-8: an index of Postgres keeps at most about 2,700 bytes."""

Cells = Mapping[str, Sequence[str]]
"""The cells of a table by column."""


def read_votes(
    names: TableMap, cells: Cells, keys: Sequence[str], positions: Mapping[str, int], tasks: Sequence[Task]
) -> list[Vote]:
    """The answers of a table: first the labels, then the votes that columns count.

    `keys` has the id of each row's sample, `positions` the position of each id in the corpus. The voters of
    counted votes are numbered over all rows of a sample.

    Raises `CorpusError` for a cell that is not an answer, a modality, a rater or a count of votes, and for a
    rater who answers twice.
    """
    context = _RowContext(names, cells, keys)
    votes = [
        Vote(positions[keys[row]], task_id, context.raters[row], answer)
        for row, task_id, answer in _labels(names, context, cells, tasks)
    ]
    # Without --votes, a label belongs to the corpus as a whole, and its rater has no number.
    last_voter = {(v.position, v.task_id): int(v.rater) for v in votes} if names.votes else {}
    for row, task_id, answer in _counted_votes(names, context, cells, tasks):
        position = positions[keys[row]]
        number = last_voter[position, task_id] = last_voter.get((position, task_id), 0) + 1
        votes.append(Vote(position, task_id, str(number), answer))
    return votes


def covered_tasks(names: TableMap) -> frozenset[str]:
    """Ids of the tasks that the table is about: all passes of a dimension if a column holds the modality."""
    labelled = {*names.label, *names.count}
    if not names.modality:
        return frozenset(labelled)
    return frozenset(f"{dimension}.{m.value}" for dimension in labelled for m in Modality)


def _labels(
    names: TableMap, context: "_RowContext", cells: Cells, tasks: Sequence[Task]
) -> Iterator[tuple[int, str, str]]:
    """(row, task id, answer) of each cell that holds an answer."""
    for name, column in names.label.items():
        for modality, rows in context.rows.items():
            task = find_task(_task_id(name, modality), tasks, cells[column])
            renamed = names.value.get(task.dimension.name, {})
            parsed: dict[str, str | None] = {}
            for row in rows:
                cell = cells[column][row].strip()
                if cell not in parsed:
                    parsed[cell] = parse_answer(cell, task, f"row {row + 1}", renamed, cells[column])
                answer = parsed[cell]
                if answer is not None:
                    yield row, task.id, answer


def _counted_votes(
    names: TableMap, context: "_RowContext", cells: Cells, tasks: Sequence[Task]
) -> Iterator[tuple[int, str, str]]:
    """(row, task id, answer) of each vote that a column counts."""
    for name, columns in names.count.items():
        for modality, rows in context.rows.items():
            task = find_task(_task_id(name, modality), tasks, list(columns))
            renamed = names.value.get(task.dimension.name, {})
            answers = [
                (require_answer(answer, task, "--count", renamed), column)
                for answer, column in columns.items()
            ]
            for row in rows:
                for answer, column in answers:
                    yield from [(row, task.id, answer)] * _count(cells[column][row], column, row)


def _task_id(name: str, modality: Modality | None) -> str:
    """The task of a label that is named by its task, or by its dimension where a column has the modality."""
    return f"{name}.{modality.value}" if modality is not None else name


class _RowContext:
    """Who gave the answers of each row, and on which modality."""

    def __init__(self, names: TableMap, cells: Cells, keys: Sequence[str]) -> None:
        modalities: list[Modality | None] = [None] * len(keys)
        if names.modality:
            for row, cell in enumerate(cells[names.modality]):
                modalities[row] = MODALITIES.get(cell.strip().lower())
                if modalities[row] is None:
                    raise CorpusError(
                        f"row {row + 1}: {names.modality} is {cell!r}, which is not a modality",
                        hint=f"known: {', '.join(MODALITIES)}",
                    )
        self.rows: dict[Modality | None, list[int]] = {}
        """By modality, None where no column has it."""
        for row, modality in enumerate(modalities):
            self.rows.setdefault(modality, []).append(row)
        questions = list(zip(keys, modalities, strict=True))
        self.raters = [""] * len(keys)
        """By row; empty where the answer belongs to the corpus as a whole."""
        if names.rater:
            self.raters = [_rater(cell, names.rater, row) for row, cell in enumerate(cells[names.rater])]
        elif names.votes:
            counts: Counter[tuple[str, Modality | None]] = Counter()
            for row, question in enumerate(questions):
                counts[question] += 1
                self.raters[row] = str(counts[question])
        first_row: dict[tuple[str, Modality | None, str], int] = {}
        for row, (question, rater) in enumerate(zip(questions, self.raters, strict=True)):
            before = first_row.setdefault((*question, rater), row)
            if before != row:
                by_whom = f" by {rater!r}" if rater else ""
                raise CorpusError(
                    f"row {row + 1}: {question[0]!r} was answered{by_whom} in row {before + 1} already",
                    hint="a rater answers once; say --votes instead of --rater if nobody knows who they are",
                )


def _rater(cell: str, column: str, row: int) -> str:
    name = cell.strip()
    if not name:
        raise CorpusError(
            f"row {row + 1}: {column} is empty", hint="name every rater; or say --votes instead"
        )
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
            f"row {row + 1}: {column} is {cell!r}, which is not a number of votes",
            hint=f"a whole number from 0 to {MOST_VOTES}",
        )
    return int(number)
