"""The outcome of a comparison, as estimates and as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from annotate.comparison.candidates import Candidate
from annotate.comparison.crossval import EvaluationSet, Fold, FoldResult
from annotate.comparison.estimates import LEVEL, Estimate, Verdict, choose, judge, level_of_one, mean
from annotate.comparison.variants import NO_UNIMODAL, PRESENT, SINGLE_TASK, unshared
from annotate.types import Modality, Task

if TYPE_CHECKING:
    from annotate.learning.model_config import ModelConfig

OF_MANY_TASKS = ("sharing", "weighting", "sampling", "stopping", "options")
"""Fields of a `ModelConfig` that concern the relation between tasks."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Estimates from the results of a comparison."""

    evaluation: EvaluationSet
    folds: Sequence[Fold]
    candidates: Sequence[Candidate]
    results: Mapping[str, Sequence[FoldResult]]
    rng: np.random.Generator

    @cached_property
    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """By candidate, by task id."""
        draws = self.evaluation.draws(self.rng)
        return {
            a.name: self.evaluation.estimates(self.folds, self.results[a.name], draws)
            for a in self.candidates
        }

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that were learned in at least one fold."""
        return tuple(task for task in self.evaluation.tasks if task.id in self.estimates[SINGLE_TASK])

    @cached_property
    def pooled(self) -> dict[str, Estimate]:
        """The mean over the tasks for each candidate that learns every task."""
        whole = {n: by_task for n, by_task in self.estimates.items() if len(by_task) == len(self.tasks)}
        return {name: mean(list(by_task.values())) for name, by_task in whole.items()}

    def difference(self, name: str, other: str = SINGLE_TASK, task_id: str = "") -> Estimate:
        """`name` minus `other`: the mean over the tasks that both learn, or for one task."""
        first, second = self.estimates[name], self.estimates[other]
        both = [task_id] if task_id else [t for t in first if t in second]
        return mean([first[t] - second[t] for t in both])

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Number of parameters of all members by candidate, the largest over the folds."""
        return {name: max(result.parameters for result in results) for name, results in self.results.items()}

    @cached_property
    def single(self) -> "ModelConfig":
        """The configuration of the single-task control."""
        return next(candidate.config for candidate in self.candidates if candidate.name == SINGLE_TASK)

    @cached_property
    def shared(self) -> list[str]:
        """The candidates that learn every task and share something between tasks."""
        names = []
        for candidate in self.candidates:
            options = candidate.config.options
            separate = candidate.config.sharing == self.single.sharing and unshared(options) == options
            if candidate.name in self.pooled and not separate:
                names.append(candidate.name)
        return names

    @cached_property
    def alike(self) -> list[str]:
        """The `shared` candidates that differ from single-task only in `OF_MANY_TASKS`, so that the
        difference is due to multi-task learning."""
        same = {name: getattr(self.single, name) for name in OF_MANY_TASKS}
        candidates = [candidate for candidate in self.candidates if candidate.name in self.shared]
        return [
            candidate.name for candidate in candidates if replace(candidate.config, **same) == self.single
        ]

    @cached_property
    def winner(self) -> str:
        """The candidate that `choose` recommends; the present settings with too few samples or groups."""
        if self.evaluation.too_few:
            return PRESENT
        return choose(self.pooled, self.parameters, PRESENT)


def sentences(outcome: Outcome) -> list[str]:
    """The verdict. The intervals are wider than in the tables, corrected for the number of variants."""
    if outcome.evaluation.too_few:
        return [f"{outcome.evaluation.too_few}; the estimates vary by chance"]
    return [*_overall(outcome), *_by_task(outcome), *_unimodal(outcome)]


def _format_estimate(estimate: Estimate, level: float = LEVEL) -> str:
    low, high = estimate.interval(level)
    return f"{estimate.value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def _overall(outcome: Outcome) -> list[str]:
    if len(outcome.tasks) < 2:
        return [f"there is one task, {outcome.tasks[0].id}: tasks cannot share anything"]
    if not outcome.alike:
        return ["no variant differs from single-task in sharing alone: name some, as sharing=hard"]
    level = level_of_one(len(outcome.shared))
    differences = {name: outcome.difference(name) for name in outcome.shared}
    named = _format_differences({name: differences[name] for name in outcome.alike}, Verdict.BETTER, level)
    best = max(outcome.alike, key=lambda name: differences[name].value)
    lines = [
        f"multi-task helps here: better than single-task: {named}"
        if named
        else "multi-task does not help here: no variant is better than single-task beyond chance; "
        f"the best, {best}: {_format_estimate(differences[best], level)}"
    ]
    others = {name: differences[name] for name in outcome.shared if name not in outcome.alike}
    also = _format_differences(others, Verdict.BETTER, level)
    if also:
        lines.append(f"better than single-task, but not by sharing alone: {also}")
    worse = _format_differences(differences, Verdict.WORSE, level)
    return [*lines, f"worse than single-task: {worse}"] if worse else lines


def _by_task(outcome: Outcome) -> list[str]:
    """Tasks that multi-task learning helps or hurts on their own."""
    lines = []
    level = level_of_one(len(outcome.shared) * len(outcome.tasks))
    for task in outcome.tasks if len(outcome.tasks) > 1 else ():
        if outcome.evaluation.few_labels(task):
            continue
        differences = {name: outcome.difference(name, task_id=task.id) for name in outcome.alike}
        for word, verdict in (("helped", Verdict.BETTER), ("hurt", Verdict.WORSE)):
            named = _format_differences(differences, verdict, level)
            if named:
                lines.append(f"{task.id} is {word} by {named}")
    return lines


def _format_differences(differences: Mapping[str, Estimate], verdict: Verdict, level: float) -> str:
    return ", ".join(
        f"{name} ({_format_estimate(estimate, level)})"
        for name, estimate in differences.items()
        if judge(estimate, level) is verdict
    )


def _unimodal(outcome: Outcome) -> list[str]:
    """Whether the labels of single modalities help the multimodal tasks."""
    together = [task for task in outcome.tasks if task.modality is Modality.MULTIMODAL]
    if len(outcome.tasks) < 2:
        return []
    if not together or len(together) == len(outcome.tasks):
        which = "no task is multimodal" if not together else "every task is multimodal"
        return [f"{which}: {NO_UNIMODAL} leaves nothing out"]
    difference = outcome.difference(PRESENT, NO_UNIMODAL)
    words = {
        Verdict.BETTER: "help the multimodal tasks",
        Verdict.LEVEL: "make no difference beyond chance to the multimodal tasks",
        Verdict.WORSE: "hurt the multimodal tasks",
    }
    return [f"the labels of T, A and V {words[judge(difference)]}: {_format_estimate(difference)}"]
