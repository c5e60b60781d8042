"""Reads a labelled project as data that the loop can be replayed on."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from annotate.batch.label_arrays import numbered
from annotate.batch.predictor_source import feature_embedder
from annotate.batch.snapshot import read_costs
from annotate.consensus.defaults import aggregate
from annotate.corpus.origins import read_origins
from annotate.errors import NothingToDo, UsageError
from annotate.project import Project
from annotate.rounds.settings import model_config_of
from annotate.rounds.training_data import TrainingData, read_training_data, reader
from annotate.simulation.replay_data import ReplayData
from annotate.types import Split, Task
from db.costs import lengths
from db.engine import reading
from db.samples import speakers_of
from db.votes import read_votes


def open_replay_data(
    root: Path, *, tasks: Sequence[str], members: int | None, device: str, votes: bool
) -> ReplayData:
    """The same as `read_replay_data`, for another process, which opens the project itself."""
    return read_replay_data(Project.open(root), tasks=tasks, members=members, device=device, votes=votes)


def read_replay_data(
    project: Project, *, tasks: Sequence[str], members: int | None, device: str, votes: bool
) -> ReplayData:
    """The train samples that have every label of `tasks`, and the labelled validation and test samples.

    Without `tasks`, all tasks that have a label are replayed. Raises `UsageError` for a task that does not
    exist, `NothingToDo` when there is no label, or no vote, `FeatureError` when features are missing,
    `ConfigError` when `[train]` names a plug-in that does not exist.
    """
    config = model_config_of(project)
    data = read_training_data(project, seed=project.settings.project.seed)
    chosen = _tasks(data, tasks)
    labels = {key: label for split in Split for key, label in data.labels[split].items()}
    pool = _fully_labelled(data, chosen)
    with reading(project.engine) as session:
        groups, seconds = speakers_of(session, pool), lengths(session, pool)
        costs = read_costs(project.settings, session)
        answers = read_votes(session, chosen) if votes else {}
    if votes and not answers:
        raise NothingToDo(
            "no single answer of a rater is stored, so no votes can be replayed", hint="leave out --votes"
        )
    videos, speakers = ([groups[i][part] for i in pool] for part in (0, 1))
    chosen_ids = {task.id for task in chosen}
    batch = project.settings.batch
    return ReplayData(
        tasks=chosen,
        pool=tuple(pool),
        valid=tuple(data.sample_ids(Split.VALID, chosen)),
        test=tuple(data.sample_ids(Split.TEST, chosen)),
        labels={key: label for key, label in labels.items() if key[1] in chosen_ids},
        read=reader(project),
        extractors=data.extractors,
        origins=read_origins(project),
        embeddings=feature_embedder(project, reader(project)).embed(pool),
        groups={"speaker": numbered(speakers), "video": numbered(videos)},
        clip_seconds=np.array([seconds[i] for i in pool]),
        config=config if members is None else replace(config, members=members),
        device=device,
        cold_start=batch.cold_start,
        options=batch.options,
        pool_limit=batch.pool,
        costs=costs,
        votes={key: given for key, given in answers.items() if key in labels},
        features=data.features,
        aggregate=aggregate,
    )


def _tasks(data: TrainingData, wanted: Sequence[str]) -> tuple[Task, ...]:
    """The tasks to replay, in the order of the settings. Raises `UsageError` for one that does not exist."""
    known = {task.id: task for task in data.tasks}
    for task_id in wanted:
        if task_id not in known:
            close = get_close_matches(task_id, known, n=1)
            raise UsageError(
                f"there is no task {task_id!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}",
            )
    if wanted:
        return tuple(task for task in data.tasks if task.id in wanted)
    return tuple(task for task in data.tasks if data.of_task(task, Split.TRAIN))


def _fully_labelled(data: TrainingData, tasks: Sequence[Task]) -> list[str]:
    """The train samples that have a label of every task, ordered.

    Raises `NothingToDo` with the number of labels of each task.
    """
    labels = data.labels[Split.TRAIN]
    ids = data.sample_ids(Split.TRAIN, tasks)
    complete = [i for i in ids if all((i, task.id) in labels for task in tasks)]
    if complete:
        return complete
    counts = ", ".join(f"{task.id} {len(data.of_task(task, Split.TRAIN))}" for task in tasks)
    raise NothingToDo(
        f"no train sample has all its labels, so nothing can be replayed ({counts or 'there are no labels'})",
        hint="name with --tasks those that are labelled together"
        if counts
        else "simulate on a finished project; `annotate import` brings in a corpus of others",
    )
