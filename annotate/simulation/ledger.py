"""What was asked so far, what is known from it, and what it cost."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np

from annotate.simulation.world import World
from annotate.types import Label, Modality, Task


class Question(NamedTuple):
    """One sample shown in one pass: all tasks of the pass are judged."""

    row: int
    """Of the world's pool."""
    modality: Modality


class Ledger:
    """Grows with each question. `seed` decides in which order votes are drawn, whatever is asked when."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._prices = {m: world.costs[m].of(world.clip_seconds) for m in world.passes}
        self._drawn: dict[tuple[str, str], list[str]] = {}
        self._asked: dict[Question, int] = {}
        self.labels: dict[tuple[str, str], Label] = {}
        """By (sample id, task id)."""
        self.answers = 0
        """Of one person to one task, where raters answer one by one; else labels."""
        self.seconds = 0.0
        """Of all raters: a label that five of them made costs five times as much as one of them does."""

    def ask(self, questions: Iterable[Question]) -> None:
        """Answer questions from the truth; one may be asked again where votes are left. One that nobody is
        left to answer costs nothing, and was not asked."""
        world = self._world
        for question in questions:
            sample_id, turn = world.pool[question.row], self._asked.get(question, 0)
            tasks = world.of_pass(question.modality)
            told = [self._answer(sample_id, task, turn) for task in tasks]
            if raters := max(told):
                self.answers += sum(map(bool, told))
                self.seconds += raters * float(self._prices[question.modality][question.row])
                self._asked[question] = turn + 1

    def _answer(self, sample_id: str, task: Task, turn: int) -> int:
        """Learn the label; how many raters that takes."""
        key = (sample_id, task.id)
        votes = self._world.votes.get(key)
        if not votes:
            self.labels[key] = self._world.labels[key]
            return 0 if turn else self._world.labels[key].raters
        if turn >= len(votes):
            return 0
        order = np.random.default_rng([self._seed, crc32(f"{key}".encode())]).permutation(len(votes))
        said = self._drawn.setdefault(key, [])
        said.append(votes[order[turn]])
        assert self._world.agree is not None, "votes need a way to agree"
        self.labels[key] = self._world.agree(sample_id, task, said)
        return 1

    def again(self, task: Task) -> list[bool]:
        """Of each pool sample: whether the question was answered, somebody is left to answer it too, and may:
        who saw the whole can judge no part of it blindly any more."""
        whole = Modality.MULTIMODAL
        found = []
        for row, sample_id in enumerate(self._world.pool):
            turn = self._asked.get(Question(row, task.modality), 0)
            left = 0 < turn < len(self._world.votes.get((sample_id, task.id), ()))
            found.append(left and (task.modality is whole or Question(row, whole) not in self._asked))
        return found

    @property
    def said(self) -> dict[tuple[str, str], list[tuple[int, str]]]:
        """By (sample id, task id): (rater, answer) of the votes drawn so far. Nobody is told apart here, so
        all are of one rater."""
        return {key: [(0, answer) for answer in said] for key, said in self._drawn.items()}

    @property
    def questions(self) -> int:
        """How many were asked; one that was asked twice is two."""
        return sum(self._asked.values())

    @property
    def samples(self) -> float:
        """Questions over passes: a sample of which half the passes were asked counts half."""
        return self.questions / len(self._world.passes)

    def rows(self) -> list[int]:
        """Of the pool, ascending: what was asked in any pass."""
        return sorted({question.row for question in self._asked})

    def missing(self, task: Task) -> list[bool]:
        """Of each pool sample: whether the label of a task is missing."""
        return [(i, task.id) not in self.labels for i in self._world.pool]

    def told(self) -> Mapping[str, list[Label]]:
        """By task id: the labels, ordered by sample."""
        found: dict[str, list[Label]] = {task.id: [] for task in self._world.tasks}
        for (_, task_id), label in sorted(self.labels.items()):
            found[task_id].append(label)
        return found
