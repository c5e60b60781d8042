"""What stands in a cell, as the answer that is stored."""

import json
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from annotate.errors import CorpusError
from annotate.types import AND, Dimension, Kind, Modality, Task

NOTHING = "none"
"""In a cell of a multilabel task: none of the answers is ticked. An empty cell says that nobody was asked."""
_MISSING = frozenset({"", "nan", "NaN", "NA", "<NA>", "None"})
_ROUNDING = 1e-6
"""Times the scale's larger end: eight steps of a 32-bit number, which sums and means of such may be off."""
_SHOWN = 12
"""Answers of a dimension that is made up for the hint."""
ELSEWHERE = "name another column, or leave the cell empty where there is no label"
"""The way out for a cell that can never be an answer."""


def stored(
    cell: str, task: Task, where: str, renamed: Mapping[str, str], beside: Sequence[str] = ()
) -> str | None:
    """The answer in `cell`, with its word replaced by that in `renamed`; None where it is missing.

    Raises `CorpusError` for a number outside the scale and a word that is no answer; `where` names the row,
    and the cells `beside` it show how wide a scale has to be.
    """
    dimension = task.dimension
    cell = renamed.get(cell, cell)
    if cell in _MISSING and dimension.answer(cell) is None:
        return None
    if dimension.kind is Kind.REGRESSION:
        return _number(cell, task, where, beside)
    if dimension.kind is Kind.MULTILABEL:
        words = [] if cell == NOTHING else [renamed.get(w.strip(), w.strip()) for w in cell.split(AND)]
        said = dimension.joined(words)
        if unknown := [word for word in words if dimension.answer(word) is None]:
            raise _no_answer(unknown[0], task, where)
        return said
    if dimension.answer(cell) is None:
        raise _no_answer(cell, task, where)
    return cell


def answer_of(word: str, task: Task, where: str, renamed: Mapping[str, str]) -> str:
    """As `stored`, of a word that has to be an answer."""
    said = stored(word, task, where, renamed)
    if said is None:
        raise _no_answer(word, task, where)
    return said


def _number(cell: str, task: Task, where: str, beside: Sequence[str]) -> str:
    dimension = task.dimension
    try:
        number = float(cell)
    except ValueError:
        raise CorpusError(
            f"{where}: {task.id} is a number, not {cell!r}",
            hint=ELSEWHERE,
        ) from None
    number = _on_scale(number, dimension)
    if not dimension.low <= number <= dimension.high:
        wider = f"give {dimension.name} in annotate.toml answers from the corpus' lowest to its highest"
        if beside:
            wider += f", such as\n{dimension_block(dimension.name, beside)}"
        raise CorpusError(
            f"{where}: {task.id} is {number:g}, and the scale of {dimension.name} goes from "
            f"{dimension.low:g} to {dimension.high:g}",
            hint=wider if math.isfinite(number) else ELSEWHERE,
        )
    return alias(dimension, number)


def _on_scale(number: float, dimension: Dimension) -> float:
    """The end of the scale for a number that lies beyond it by a rounding error, else the number itself."""
    slack = _ROUNDING * max(abs(dimension.low), abs(dimension.high))
    nearest = min(max(number, dimension.low), dimension.high)
    return nearest if abs(number - nearest) <= slack else number


def alias(dimension: Dimension, number: float) -> str:
    """An answer's alias where the number is one, else the number in full."""
    short = f"{number + 0.0:g}"
    return short if dimension.answer(short) and float(short) == number else repr(number + 0.0)


def _no_answer(word: str, task: Task, where: str) -> CorpusError:
    known = [answer.alias for answer in task.dimension.answers]
    close = get_close_matches(word, known, n=1)
    rename = f'--value "{task.dimension.name}:{word}={close[0] if close else "ANSWER"}"'
    return CorpusError(
        f"{where}: {word!r} is no answer of {task.dimension.name} ({', '.join(known)})",
        hint=f"add it to the answers in annotate.toml, or say {rename} for another word of the same",
    )


def find_task(name: str, tasks: Sequence[Task], cells: Sequence[str]) -> Task:
    """The task called ``dimension.M``.

    Raises `CorpusError` that says what to write into `annotate.toml`; `cells` show what it is about.
    """
    found = next((task for task in tasks if task.id == name), None)
    if found is not None:
        return found
    dimension, _, short = name.rpartition(".")
    if not dimension or short not in {m.value for m in Modality}:
        raise CorpusError(
            f"{name!r} is no task", hint=f"known: {', '.join(t.id for t in tasks)}; as in sentiment.M"
        )
    if any(task.dimension.name == dimension for task in tasks):
        raise CorpusError(
            f"no pass of this project judges {name}",
            hint=f'add "{short}" to protocol.passes in annotate.toml',
        )
    close = get_close_matches(dimension, {task.dimension.name for task in tasks}, n=1)
    did = f"did you mean {close[0]}.{short}? Else write" if close else "write"
    raise CorpusError(
        f"no dimension of this project is called {dimension!r}",
        hint=f"{did} into annotate.toml\n{dimension_block(dimension, cells)}",
    )


def dimension_block(name: str, cells: Sequence[str]) -> str:
    """A dimension that has room for these cells, as `annotate.toml` has it."""
    said = sorted({cell for cell in cells if cell not in _MISSING})
    try:
        numbers = sorted({number for cell in said if math.isfinite(number := float(cell))})
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
        words = [json.dumps(word, ensure_ascii=False) for word in (said or ["..."])[:_SHOWN]]
        answers, kind = [f"{{ value = {w}, label = {w} }}" for w in words], Kind.CLASSIFICATION
    lines = ",\n".join(f"    {answer}" for answer in answers)
    return f'[[dimensions]]\nname = "{name}"\nkind = "{kind.value}"\nanswers = [\n{lines},\n]'
