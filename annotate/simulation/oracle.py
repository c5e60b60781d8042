"""Answers questions from known labels, and keeps count of what the answers cost."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np

from annotate.simulation.replay_data import ReplayData
from annotate.types import Label, Modality, Task


class PoolQuestion(NamedTuple):
    """A question about one sample in one pass; the answer judges all tasks of the pass."""

    row: int
    """Row of the sample in the pool."""
    modality: Modality


class Oracle:
    """Answers questions about the pool, and knows all answers so far.

    `seed` decides in which order the votes of a question are drawn, whatever else is asked.
    """

    def __init__(self, data: ReplayData, seed: int) -> None:
        self._data, self._seed = data, seed
        self._seconds_per_rater = {m: data.costs[m].of(data.clip_seconds) for m in data.passes}
        self._votes: dict[tuple[str, str], list[str]] = {}
        self._times_asked: dict[PoolQuestion, int] = {}
        self.labels: dict[tuple[str, str], Label] = {}
        """By (sample id, task id)."""
        self.answer_count = 0
        """Answers of single raters to single tasks where there are votes, else labels."""
        self.seconds = 0.0
        """Time of all raters together: a label of five raters costs five times as much as that of one."""

    def ask(self, questions: Iterable[PoolQuestion]) -> None:
        """Answer questions; one may be asked again while votes are left.

        A question that no rater is left to answer costs nothing and does not count.
        """
        for question in questions:
            sample_id, turn = self._data.pool[question.row], self._times_asked.get(question, 0)
            raters = [self._answer(sample_id, task, turn) for task in self._data.of_pass(question.modality)]
            if most_raters := max(raters):
                self.answer_count += sum(map(bool, raters))
                self.seconds += most_raters * float(self._seconds_per_rater[question.modality][question.row])
                self._times_asked[question] = turn + 1

    def _answer(self, sample_id: str, task: Task, turn: int) -> int:
        """Set the label of a task, and return the number of raters that it takes."""
        key = (sample_id, task.id)
        votes = self._data.votes.get(key)
        if not votes:
            self.labels[key] = self._data.labels[key]
            return 0 if turn else self._data.labels[key].raters
        if turn >= len(votes):
            return 0
        order = np.random.default_rng([self._seed, crc32(f"{key}".encode())]).permutation(len(votes))
        drawn = self._votes.setdefault(key, [])
        drawn.append(votes[order[turn]])
        assert self._data.aggregate is not None, "votes need an aggregation rule"
        self.labels[key] = self._data.aggregate(sample_id, task, drawn)
        return 1

    def may_repeat(self, task: Task) -> list[bool]:
        """For each pool sample: whether the question was answered and another rater may answer it too.

        After the multimodal pass of a sample no other pass is repeated, because nobody could judge it
        blindly any more.
        """
        multimodal, result = Modality.MULTIMODAL, []
        for row, sample_id in enumerate(self._data.pool):
            turn = self._times_asked.get(PoolQuestion(row, task.modality), 0)
            left = 0 < turn < len(self._data.votes.get((sample_id, task.id), ()))
            is_blind = PoolQuestion(row, multimodal) not in self._times_asked
            result.append(left and (task.modality is multimodal or is_blind))
        return result

    @property
    def votes(self) -> dict[tuple[str, str], list[tuple[int, str]]]:
        """By (sample id, task id): (rater, answer) of the votes drawn so far.

        Raters are anonymous in a replay, so all votes have the same rater number.
        """
        return {key: [(0, answer) for answer in drawn] for key, drawn in self._votes.items()}

    @property
    def questions(self) -> int:
        """Number of questions asked; one that was asked twice counts twice."""
        return sum(self._times_asked.values())

    @property
    def samples(self) -> float:
        """Number of questions over that of passes: a sample with half its passes asked counts half."""
        return self.questions / len(self._data.passes)

    def rows(self) -> list[int]:
        """Rows of the pool, ascending, that were asked in any pass."""
        return sorted({question.row for question in self._times_asked})

    def missing(self, task: Task) -> list[bool]:
        """For each pool sample: whether it lacks the label of a task."""
        return [(i, task.id) not in self.labels for i in self._data.pool]

    def labels_by_task(self) -> Mapping[str, list[Label]]:
        """By task id: the labels, ordered by sample."""
        by_task: dict[str, list[Label]] = {task.id: [] for task in self._data.tasks}
        for (_, task_id), label in sorted(self.labels.items()):
            by_task[task_id].append(label)
        return by_task
