"""Histories as data: what people, servers, disks and commands did, one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

RATERS = 3
SAMPLES = 7
PASSES = ("T", "A", "M")
VALUES = ("-1", "0", "1")
HOUR = 3600.0


@dataclass(frozen=True)
class Answer:
    """A rater answers the question about a sample, if it is on the server and the rater did not before."""

    rater: int
    sample: int
    modality: str
    value: str


@dataclass(frozen=True)
class Skip:
    rater: int
    sample: int
    modality: str


@dataclass(frozen=True)
class Edit:
    """A rater changes an own answer, or answers what was skipped."""

    rater: int
    sample: int
    modality: str
    value: str


@dataclass(frozen=True)
class Delete:
    rater: int
    sample: int
    modality: str


@dataclass(frozen=True)
class OwnerEdits:
    """The owner of the project changes a rater's answer."""

    rater: int
    sample: int
    modality: str
    value: str


@dataclass(frozen=True)
class DeleteRater:
    """The owner deletes the account; what it did stays."""

    rater: int


@dataclass(frozen=True)
class EditKey:
    """Somebody edits the data of a question by hand: its key gets a typo, is gone, or is another's."""

    sample: int
    modality: str
    how: Literal["typo", "gone", "another's"]


@dataclass(frozen=True)
class BackUpStudio:
    pass


@dataclass(frozen=True)
class RestoreStudio:
    pass


@dataclass(frozen=True)
class BackUpDatabase:
    pass


@dataclass(frozen=True)
class RestoreDatabase:
    pass


@dataclass(frozen=True)
class SetClock:
    """From now on the server's clock is wrong by so many seconds; zero puts it right."""

    offset: float


@dataclass(frozen=True)
class Pull:
    """`annotate pull`; killed at a moment when `kill` says so, by its number."""

    full: bool = False
    accept: bool = False
    kill: int | None = None
    lose_wal: bool = False
    """After the kill, SQLite's write-ahead log is deleted."""


@dataclass(frozen=True)
class NextBatch:
    n: int = 2
    kill: int | None = None
    lose_wal: bool = False


Operation = (
    Answer | Skip | Edit | Delete | OwnerEdits | DeleteRater | EditKey | BackUpStudio | RestoreStudio
    | BackUpDatabase | RestoreDatabase | SetClock | Pull | NextBatch
)  # fmt: skip


@dataclass(frozen=True)
class History:
    """Operations, and how many people each question is put to."""

    raters_asked: int
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        lines = "".join(f"    {operation},\n" for operation in self.operations)
        return f"History({self.raters_asked}, (\n{lines}))"


def draw(seed: int) -> History:
    """A history of 12 to 28 operations after a first batch and some answers to it."""
    rng = np.random.default_rng([20261201, seed])
    first: list[Operation] = [NextBatch(int(rng.integers(2, 5)))]
    count = int(rng.integers(12, 29))
    kinds, weights = zip(*_KINDS, strict=True)
    shares = np.array(weights) / sum(weights)
    drawn = [kinds[int(rng.choice(len(kinds), p=shares))](rng) for _ in range(count)]
    opening = [_answer(rng) for _ in range(int(rng.integers(2, 8)))]
    return History(int(rng.integers(1, 3)), (*first, *opening, *drawn))


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _who_and_what(rng: np.random.Generator) -> tuple[int, int, str]:
    # Few samples, so that operations meet each other.
    return int(rng.integers(RATERS)), int(rng.integers(SAMPLES)), _pick(rng, "TTAM")


def _answer(rng: np.random.Generator) -> Operation:
    return Answer(*_who_and_what(rng), _pick(rng, VALUES))


def _edit(rng: np.random.Generator) -> Operation:
    return Edit(*_who_and_what(rng), _pick(rng, VALUES))


def _owner_edits(rng: np.random.Generator) -> Operation:
    return OwnerEdits(*_who_and_what(rng), _pick(rng, VALUES))


def _edit_key(rng: np.random.Generator) -> Operation:
    _, sample, modality = _who_and_what(rng)
    return EditKey(sample, modality, _pick(rng, ("typo", "gone", "another's")))  # type: ignore[arg-type]


def _moment(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 120))


def _pull(rng: np.random.Generator) -> Operation:
    return Pull(full=bool(rng.random() < 0.15))


def _killed_pull(rng: np.random.Generator) -> Operation:
    return Pull(kill=_moment(rng), lose_wal=bool(rng.random() < 0.2))


def _killed_batch(rng: np.random.Generator) -> Operation:
    return NextBatch(kill=_moment(rng), lose_wal=bool(rng.random() < 0.2))


def _clock(rng: np.random.Generator) -> Operation:
    return SetClock(float(rng.choice([0.0, 0.0, 2 * HOUR, 26 * HOUR, -2 * HOUR])))


_KINDS: list[tuple[Callable[[np.random.Generator], Operation], float]] = [
    (_answer, 30),
    (lambda rng: Skip(*_who_and_what(rng)), 6),
    (_edit, 8),
    (lambda rng: Delete(*_who_and_what(rng)), 6),
    (_owner_edits, 5),
    (lambda rng: DeleteRater(int(rng.integers(RATERS))), 2),
    (_edit_key, 3),
    (lambda rng: BackUpStudio(), 4),
    (lambda rng: RestoreStudio(), 4),
    (lambda rng: BackUpDatabase(), 3),
    (lambda rng: RestoreDatabase(), 3),
    (_clock, 5),
    (_pull, 16),
    (lambda rng: Pull(accept=True), 1),
    (_killed_pull, 5),
    (lambda rng: NextBatch(), 5),
    (_killed_batch, 3),
]


def shrink(history: History, fails: Callable[[History], bool], tries: int = 150) -> History:
    """A shorter history that fails, too: runs of operations are left out as long as it does."""
    size = max(len(history.operations) // 2, 1)
    while size and tries > 0:
        start, shorter = 0, False
        while start < len(history.operations) and tries > 0:
            rest = history.operations[:start] + history.operations[start + size :]
            tries -= 1
            if rest and fails(History(history.raters_asked, rest)):
                history, shorter = History(history.raters_asked, rest), True
            else:
                start += size
        size = size if shorter and size == 1 else size // 2
    return history
