"""How many samples a replay asks for in each round."""

from dataclasses import dataclass

from annotate.errors import NothingToDo, UsageError
from annotate.simulation.replay_data import ReplayData
from annotate.wording import counted, either


@dataclass(frozen=True, slots=True)
class ReplaySchedule:
    """The size of each round in samples; a sample with half its passes asked counts half."""

    start: int
    """Size of the start set, drawn uniformly, the same for every strategy with the same seed."""
    step: int
    until: int
    valid_share: float = 0.2
    """Labelled validation samples per labelled pool sample, the same ones for every strategy with the same
    seed. They are not counted, because every strategy pays for them alike."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a schedule without a round in which a strategy chooses."""
        if self.start < 1 or self.step < 1:
            raise UsageError(
                f"a simulation of {counted(self.start, 'sample')} and {self.step} more at a time gets "
                "nowhere",
                hint="use --start 20 --step 20",
            )
        if self.until <= self.start:
            raise UsageError(
                f"--until {self.until} is not above --start {self.start}: no strategy would choose anything",
                hint=f"use --until {self.start + self.step}, or more",
            )

    def budgets(self) -> tuple[int, ...]:
        """Samples asked after each round; the last is `until`."""
        return (*range(self.start, self.until, self.step), self.until)


def require_possible(data: ReplayData, schedule: ReplaySchedule) -> None:
    """Raise `NothingToDo` for data without labels to learn from or to score, and `UsageError` for a schedule
    that asks for more samples than there are."""
    if not data.tasks or not data.pool:
        raise NothingToDo(
            "no train sample has all its labels, so nothing can be replayed",
            hint="simulate on a finished project: `annotate status` shows what is labelled, "
            "`annotate import` brings in a corpus of others",
        )
    size = len(data.pool)
    labelled = f"the {counted(size, 'train sample')} that {either(size, 'has', 'have')} all labels"
    if schedule.start > size:
        raise UsageError(
            f"--start {schedule.start} is more than {labelled}", hint=f"use --start {max(1, size // 10)}"
        )
    if schedule.until > size:
        raise UsageError(
            f"--until {schedule.until} is more than {labelled}", hint=f"use --until {size}, or less"
        )
    for task in data.tasks:
        if not any((i, task.id) in data.labels for i in data.test):
            raise NothingToDo(
                f"no test sample has a label of {task.id}, so nothing can be measured",
                hint="label test samples, or leave the task out with --tasks",
            )
