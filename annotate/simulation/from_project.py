"""A labelled project as a world that the loop can be replayed on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from annotate.batch.known import numbered
from annotate.batch.snapshot import feature_embedder, read_costs
from annotate.consensus.defaults import aggregate
from annotate.corpus.origins import read_origins
from annotate.errors import NothingToDo, UsageError
from annotate.project import Project
from annotate.rounds.settings import recipe_of
from annotate.rounds.training_data import TrainingData, read_training_data, reader
from annotate.simulation.world import World
from annotate.types import Label, Split, Task
from db.costs import lengths
from db.engine import reading
from db.samples import speakers_of
from db.votes import read_votes


def open_world(root: Path, *, tasks: Sequence[str], members: int | None, device: str, votes: bool) -> World:
    """The same as `world_of`, for another process."""
    return world_of(Project.open(root), tasks=tasks, members=members, device=device, votes=votes)


def world_of(
    project: Project, *, tasks: Sequence[str], members: int | None, device: str, votes: bool
) -> World:
    """Train samples that have every label of `tasks` (none named: all tasks that have one), and what is
    labelled of valid and test.

    Raises `UsageError` for a task that does not exist, `NothingToDo` when there is no label, or no vote,
    `FeatureError` when features are missing, `ConfigError` when `[train]` names what is not there.
    """
    recipe = recipe_of(project)
    data = read_training_data(project, seed=project.settings.project.seed)
    chosen = _tasks(data, tasks)
    labels = {key: label for split in Split for key, label in data.labels[split].items()}
    pool = _whole(data, Split.TRAIN, chosen)
    said = _votes(project, chosen) if votes else {}
    with reading(project.engine) as session:
        who, seconds = speakers_of(session, pool), lengths(session, pool)
        costs = read_costs(project.settings, session)
    videos, speakers = ([who[i][part] for i in pool] for part in (0, 1))
    batch = project.settings.batch
    return World(
        tasks=chosen,
        pool=tuple(pool),
        valid=tuple(data.sample_ids(Split.VALID, chosen)),
        test=tuple(data.sample_ids(Split.TEST, chosen)),
        labels=_of(labels, chosen),
        read=reader(project),
        extractors=data.extractors,
        origins=read_origins(project),
        bare=feature_embedder(project, reader(project)).embed(pool),
        groups={"speaker": numbered(speakers), "video": numbered(videos)},
        clip_seconds=np.array([seconds[i] for i in pool]),
        recipe=recipe if members is None else replace(recipe, members=members),
        device=device,
        cold_start=batch.cold_start,
        options=batch.options,
        pool_limit=batch.pool,
        costs=costs,
        votes={key: given for key, given in said.items() if key in labels},
        features=data.features,
        agree=aggregate,
    )


def _tasks(data: TrainingData, wanted: Sequence[str]) -> tuple[Task, ...]:
    """In the order of the settings."""
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


def _whole(data: TrainingData, split: Split, tasks: Sequence[Task]) -> list[str]:
    """Samples that have the label of every task, ordered.

    Raises `NothingToDo` that counts what there is.
    """
    labels = data.labels[split]
    ids = data.sample_ids(split, tasks)
    found = [i for i in ids if all((i, task.id) in labels for task in tasks)]
    if found:
        return found
    counts = ", ".join(f"{task.id} {len(data.of_task(task, split))}" for task in tasks)
    raise NothingToDo(
        f"no train sample has all its labels, so nothing can be replayed ({counts or 'there are no labels'})",
        hint="name with --tasks those that are labelled together"
        if counts
        else "simulate on a finished project; `annotate import` brings in a corpus of others",
    )


def _of(labels: Mapping[tuple[str, str], Label], tasks: Sequence[Task]) -> dict[tuple[str, str], Label]:
    wanted = {task.id for task in tasks}
    return {key: label for key, label in labels.items() if key[1] in wanted}


def _votes(project: Project, tasks: Sequence[Task]) -> dict[tuple[str, str], tuple[str, ...]]:
    with reading(project.engine) as session:
        found = read_votes(session, tasks)
    if not found:
        raise NothingToDo(
            "no single answer of a rater is stored, so no votes can be replayed", hint="leave out --votes"
        )
    return found
