"""Compare training variants on the labels so far, by cross-validation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from annotate.comparison.candidates import Runs, assembler, make_candidates, open_folder
from annotate.comparison.crossval import EvaluationSet, other_scores
from annotate.comparison.estimates import Estimate, judge
from annotate.comparison.variants import PRESENT, SINGLE_TASK
from annotate.comparison.verdict import Outcome, sentences
from annotate.config.file import write_train
from annotate.corpus.origins import read_origins
from annotate.errors import NothingToDo
from annotate.learning.metrics import MEASURES
from annotate.learning.requirements import missing_labels
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.rounds.expected_time import Expected
from annotate.rounds.settings import model_config_of, seed_of
from annotate.rounds.training_data import TrainingData, read_training_data
from annotate.types import Kind, Split, Task
from annotate.wording import counted, either

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CompareReport:
    """The score of each variant on held-out samples, in points (100 times the score)."""

    basis: str
    variants: list[Row]
    """``variant``, ``points`` (mean over the tasks) with the interval ``low`` to ``high``; ``difference`` to
    single-task, paired, ``from`` and ``to``; ``parameters``, ``seconds`` of one fit (the median). A variant
    that does not learn every task has no points; its difference is over the tasks that it learns."""
    scores: list[Row]
    """The same by task, with ``measure``, ``CCC`` of a regression task (concordance over all held-out
    samples together, not in points) and ``verdict``: better, level or worse than single-task, or too few
    labels to tell."""
    verdict: list[str]
    winner: str
    written: list[str]
    """What `--apply` changed in annotate.toml."""
    warnings: list[str]
    next: str
    expected_seconds: dict[str, float]
    """Estimate of the training time before it began, ``least`` and ``most``; see `Expected`."""
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]] = field(metadata={"json_only": True})
    """By variant, by task: every other score, over all held-out samples together."""


def compare(  # noqa: PLR0913 - one for each option
    project: Project,
    *,
    variants: str | None = None,
    folds: int = 5,
    seeds: int = 1,
    members: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    apply: bool = False,
    progress: Progress = SILENT,
) -> CompareReport:
    """Cross-validate the variants on the labels of train and valid; test is never looked at.

    Raises `UsageError` for an impossible variant or device, `NothingToDo` with too few labels,
    `ModelError` when all samples are of one group, when features cannot be used or when training fails,
    `FeatureError` when features are missing, `ConfigError` when `[train]` names what is not there or `apply`
    cannot write.
    """
    from annotate.learning.device import choose_device

    chosen = choose_device(device or project.settings.train.device)
    model_config_of(project)  # raises for impossible settings before any variant is looked at
    candidates = make_candidates(project, variants, members)
    first = seed_of(project, seed)
    data = read_training_data(project, seed=first)
    evaluation = _evaluation_set(project, data)
    planned = evaluation.split(folds, range(first, first + seeds))
    if not any(evaluation.learnable(fold) for fold in planned):
        raise NothingToDo(
            "too few labels to compare anything: with a part of them held out, no task can be learned",
            hint="run `annotate next-batch`, let raters answer in Label Studio, then `annotate pull`",
        )
    runs = Runs(
        evaluation,
        assembler(project, data, evaluation),
        chosen,
        open_folder(project, data, evaluation),
    )
    if evaluation.too_few:
        progress.say(f"{evaluation.too_few}. Label more first; Ctrl-C stops this")
    expected = runs.expected(candidates, planned, progress)
    progress.say(expected.sentence())
    results = runs.of(candidates, planned, progress)
    outcome = Outcome(evaluation, planned, candidates, results, np.random.default_rng(first))
    written: list[str] = []
    if apply and outcome.winner != PRESENT:
        winner = next(candidate for candidate in candidates if candidate.name == outcome.winner)
        written = write_train(project, winner.train)
    return _report(outcome, data, folds, written, apply, expected)


def _evaluation_set(project: Project, data: TrainingData) -> EvaluationSet:
    """The samples of train and valid with a label of a task that can be learned."""
    labels = {**data.labels[Split.TRAIN], **data.labels[Split.VALID]}
    missing = {t: missing_labels(t, [x for x in labels.values() if x.task_id == t.id]) for t in data.tasks}
    tasks = tuple(task for task, lacking in missing.items() if not lacking)
    if not tasks:
        needs = "; ".join(f"{task.id} needs {lacking}" for task, lacking in missing.items())
        raise NothingToDo(
            f"too few labels to compare anything: {needs}",
            hint="run `annotate next-batch`, let raters answer in Label Studio, then `annotate pull`",
        )
    known = {task.id for task in tasks}
    ids = tuple(sorted({sample_id for sample_id, task_id in labels if task_id in known}))
    return EvaluationSet(tasks, ids, np.array([p.group for p in read_origins(project)(ids)]), labels)


def _report(
    outcome: Outcome, data: TrainingData, folds: int, written: list[str], apply: bool, expected: Expected
) -> CompareReport:
    evaluation, seeds = outcome.evaluation, len({fold.seed for fold in outcome.folds})
    members = "/".join(map(str, sorted({candidate.config.members for candidate in outcome.candidates})))
    names = [candidate.name for candidate in outcome.candidates]
    metrics = {name: other_scores(evaluation, outcome.folds, outcome.results[name]) for name in names}
    return CompareReport(
        basis=f"cross-validated on {counted(evaluation.group_count, 'group')} "
        f"({counted(len(evaluation.ids), 'sample')} of train and valid): "
        f"folds {len(outcome.folds) // seeds}, seeds {seeds}, members {members}; test was not looked at",
        variants=[
            {
                "variant": name,
                **_numbers(outcome.pooled.get(name), ("points", "low", "high")),
                **_numbers(outcome.difference(name), ("difference", "from", "to")),
                "parameters": outcome.parameters[name],
                "seconds": round(median(result.seconds for result in outcome.results[name]), 1),
            }
            for name in names
        ],
        scores=[
            _score_row(outcome, task, name, metrics[name][task.id])
            for task in outcome.tasks
            for name in names
            if task.id in outcome.estimates[name]
        ],
        verdict=sentences(outcome),
        winner=outcome.winner,
        written=written,
        warnings=_warnings(outcome, data, folds, apply),
        next="annotate compare --apply" if outcome.winner != PRESENT and not apply else "annotate train",
        expected_seconds=expected.seconds(),
        metrics=metrics,
    )


def _score_row(outcome: Outcome, task: Task, name: str, scores: Mapping[str, float]) -> Row:
    difference = outcome.difference(name, task_id=task.id)
    if name == SINGLE_TASK:
        verdict = ""
    elif outcome.evaluation.too_few or outcome.evaluation.few_labels(task):
        verdict = "too few labels"
    else:
        verdict = judge(difference).value
    return {
        "task": task.id,
        "measure": MEASURES[task.dimension.kind],
        "variant": name,
        **_numbers(outcome.estimates[name][task.id], ("points", "low", "high")),
        **_numbers(difference, ("difference", "from", "to")),
        **({"CCC": scores.get("CCC")} if task.dimension.kind is Kind.REGRESSION else {}),
        "verdict": verdict,
    }


def _numbers(estimate: Estimate | None, names: tuple[str, str, str]) -> Row:
    if estimate is None:
        return dict.fromkeys(names)
    return {name: round(n, 2) for name, n in zip(names, (estimate.value, *estimate.interval()), strict=True)}


def _warnings(outcome: Outcome, data: TrainingData, folds: int, apply: bool) -> list[str]:
    groups, warnings = outcome.evaluation.group_count, []
    if outcome.evaluation.too_few:
        warnings.append(f"{outcome.evaluation.too_few}; no interval here can be trusted")
    if groups < folds:
        warnings.append(
            f"{folds} folds were asked for, but there {either(groups, 'is', 'are')} only "
            f"{counted(groups, 'group')}"
        )
    if apply and outcome.evaluation.too_few:
        warnings.append(f"nothing was written: {outcome.evaluation.too_few}")
    elif apply and outcome.winner == PRESENT:
        warnings.append("nothing was written: no variant is better than the present settings beyond chance")
    left = [task.id for task in data.tasks if task not in outcome.tasks]
    if left:
        warnings.append(f"too few labels of {', '.join(left)}: left out")
    if data.without_features:
        warnings.append(
            f"{counted(data.without_features, 'labelled sample')} "
            f"{either(data.without_features, 'has', 'have')} no features: run `annotate extract`"
        )
    return warnings
