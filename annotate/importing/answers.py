"""Parses cells of other corpora into answers, in the form that is stored."""

import json
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from annotate.errors import CorpusError
from annotate.types import AND, Dimension, Kind, Modality, Task

NOTHING = "none"
"""Cell of a multilabel task without any selected answer. An empty cell means that nobody was asked."""
_MISSING = frozenset({"", "nan", "NaN", "NA", "<NA>", "None"})
_ROUNDING = 1e-6
"""Relative to the larger end of the scale: eight steps of a 32-bit float, the error of sums and means."""
_SHOWN = 12
"""Most answers of the dimension that a hint proposes."""
NOT_AN_ANSWER = "name another column, or leave the cell empty where there is no label"
"""Hint for a cell that can never be an answer."""


def parse_answer(
    cell: str, task: Task, where: str, renamed: Mapping[str, str], column: Sequence[str] = ()
) -> str | None:
    """The answer in `cell`, with its word replaced according to `renamed`; None where it is missing.

    Raises `CorpusError` for a number outside the scale and a word that is not an answer; `where` names the
    row for the message, and all cells of the `column` show how wide the scale has to be.
    """
    dimension = task.dimension
    cell = renamed.get(cell, cell)
    if cell in _MISSING and dimension.answer(cell) is None:
        return None
    if dimension.kind is Kind.REGRESSION:
        return _number(cell, task, where, column)
    if dimension.kind is Kind.MULTILABEL:
        words = [] if cell == NOTHING else [renamed.get(w.strip(), w.strip()) for w in cell.split(AND)]
        if unknown := [word for word in words if dimension.answer(word) is None]:
            raise _unknown_answer(unknown[0], task, where)
        return dimension.joined(words)
    if dimension.answer(cell) is None:
        raise _unknown_answer(cell, task, where)
    return cell


def require_answer(word: str, task: Task, where: str, renamed: Mapping[str, str]) -> str:
    """As `parse_answer`, but a missing answer raises `CorpusError` too."""
    answer = parse_answer(word, task, where, renamed)
    if answer is None:
        raise _unknown_answer(word, task, where)
    return answer


def _number(cell: str, task: Task, where: str, column: Sequence[str]) -> str:
    dimension = task.dimension
    try:
        number = float(cell)
    except ValueError:
        raise CorpusError(
            f"{where}: {task.id} is a number, not {cell!r}",
            hint=NOT_AN_ANSWER,
        ) from None
    # A number that is off the scale by no more than a rounding error is moved to the end of the scale.
    nearest = min(max(number, dimension.low), dimension.high)
    if abs(number - nearest) <= _ROUNDING * max(abs(dimension.low), abs(dimension.high)):
        number = nearest
    if not dimension.low <= number <= dimension.high:
        wider = f"give {dimension.name} in annotate.toml answers from the corpus' lowest to its highest"
        if column:
            wider += f", such as\n{dimension_block(dimension.name, column)}"
        raise CorpusError(
            f"{where}: {task.id} is {number:g}, and the scale of {dimension.name} goes from "
            f"{dimension.low:g} to {dimension.high:g}",
            hint=wider if math.isfinite(number) else NOT_AN_ANSWER,
        )
    return alias(dimension, number)


def alias(dimension: Dimension, number: float) -> str:
    """The alias of the answer with that number if there is one, else the number with all its digits."""
    short = f"{number + 0.0:g}"
    return short if dimension.answer(short) and float(short) == number else repr(number + 0.0)


def _unknown_answer(word: str, task: Task, where: str) -> CorpusError:
    known = [answer.alias for answer in task.dimension.answers]
    close = get_close_matches(word, known, n=1)
    rename = f'--value "{task.dimension.name}:{word}={close[0] if close else "ANSWER"}"'
    return CorpusError(
        f"{where}: {word!r} is not an answer of {task.dimension.name} ({', '.join(known)})",
        hint=f"add it to the answers in annotate.toml, or say {rename} if it is another word for one",
    )


def find_task(name: str, tasks: Sequence[Task], cells: Sequence[str]) -> Task:
    """The task called ``dimension.M``.

    Raises `CorpusError` that says what to write into `annotate.toml`, with answers made from `cells`.
    """
    for task in tasks:
        if task.id == name:
            return task
    dimension, _, short = name.rpartition(".")
    if not dimension or short not in {m.value for m in Modality}:
        raise CorpusError(
            f"{name!r} is not a task", hint=f"known: {', '.join(t.id for t in tasks)}; as in sentiment.M"
        )
    if any(task.dimension.name == dimension for task in tasks):
        raise CorpusError(
            f"no pass of this project judges {name}",
            hint=f'add "{short}" to protocol.passes in annotate.toml',
        )
    close = get_close_matches(dimension, {task.dimension.name for task in tasks}, n=1)
    advice = f"did you mean {close[0]}.{short}? Else write" if close else "write"
    raise CorpusError(
        f"no dimension of this project is called {dimension!r}",
        hint=f"{advice} into annotate.toml\n{dimension_block(dimension, cells)}",
    )


def dimension_block(name: str, cells: Sequence[str]) -> str:
    """TOML for a dimension of `annotate.toml` whose answers include these cells."""
    present = sorted({cell for cell in cells if cell not in _MISSING})
    try:
        numbers = sorted({number for cell in present if math.isfinite(number := float(cell))})
    except ValueError:
        numbers = []
    if numbers:
        low, high = math.floor(numbers[0]), max(math.ceil(numbers[-1]), math.floor(numbers[0]) + 1)
        values = numbers
        if not 1 < len(numbers) <= _SHOWN:
            few = high - low < _SHOWN and len(numbers) > 1
            values = [float(n) for n in (range(low, high + 1) if few else (low, high))]
        answers, kind = [f'{{ value = {v!r}, label = "{v:g}" }}' for v in values], Kind.REGRESSION
    else:
        words = [json.dumps(word, ensure_ascii=False) for word in (present or ["..."])[:_SHOWN]]
        answers, kind = [f"{{ value = {w}, label = {w} }}" for w in words], Kind.CLASSIFICATION
    lines = ",\n".join(f"    {answer}" for answer in answers)
    return f'[[dimensions]]\nname = "{name}"\nkind = "{kind.value}"\nanswers = [\n{lines},\n]'
