"""Everything that the choice of a batch depends on, read in one database session."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.batch.costs import Costs, LeadTime, PassCost, learn
from annotate.batch.label_arrays import label_arrays, numbered
from annotate.batch.opening import make_strategy
from annotate.batch.predictions import Predictor
from annotate.batch.predictor_source import PredictorSource
from annotate.batch.quotas import Counts
from annotate.batch.request import Request
from annotate.config.settings import Settings
from annotate.errors import FeatureError, NothingToDo
from annotate.project import Project
from annotate.types import Modality, Requirement, Role, Task, parse_task_id
from annotate.wording import counted, either
from db import batches, stats
from db.batches import Candidate
from db.clips import read_clips
from db.costs import lead_times
from db.engine import Session, reading
from db.labels import read_labels
from db.votes import answers_by_rater

RaterAnswers = Mapping[tuple[str, str], Sequence[tuple[int, str]]]
"""By (sample id, task id): (number of the rater, answer); only of samples that somebody judged."""


@dataclass(frozen=True, slots=True)
class BatchRules:
    """The settings that decide what a batch is made of."""

    tasks: tuple[Task, ...]
    passes: tuple[Modality, ...]
    """In the order in which they are asked."""
    cold_start: str
    """The strategy to use while a model is needed and there is none."""
    options: Mapping[str, Mapping[str, Any]]
    """Of strategies, by name."""
    holdout_share: float = 0.0
    audit_share: float = 0.0
    pool_limit: int | None = None
    """At most so many samples are ranked; None: all."""
    raters: int = 1
    """How many people answer each question."""
    most_raters: int = 1
    """How many answers of a question are enough."""

    @classmethod
    def of(cls, settings: Settings) -> "BatchRules":
        """The rules of a project."""
        batch = settings.batch
        return cls(
            settings.tasks(), settings.passes, batch.cold_start, batch.options, batch.holdout_share,
            batch.audit_share, batch.pool, settings.protocol.raters, batch.most_raters,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """The state of a project, or of a replay, before a batch is chosen.

    Nothing in it refers to a database. Predictions are computed on demand, because a strategy may need none
    of them and a pool may be too large to predict at once: `predict` reads features, of which the snapshot
    knows where they are stored, from files.
    """

    rules: BatchRules
    round_id: int | None
    """The model behind `predict`; None while there is none."""
    predict: Predictor
    candidates: Sequence[Candidate]
    """The n samples that may be asked, ordered by id."""
    clip_seconds: NDArray[np.float64]
    """(n,)"""
    missing: Mapping[str, NDArray[np.bool_]]
    """By task id: (n,) whether a question about it may be asked."""
    groups: Mapping[str, NDArray[np.intp]]
    """By ``speaker`` and ``video``: (n,) numbers."""
    covered: Sequence[str]
    """Ids of the m train samples that are labelled or asked already, ordered."""
    labels: Mapping[str, NDArray[np.float64]]
    """By task id: (m,) or (m, classes), as in `LabeledSet.labels`; empty if no strategy needs them."""
    answers: RaterAnswers
    """Empty if no strategy needs them."""
    costs: Costs
    before: Counts
    """Samples of the batches so far."""
    batches: int
    """Number of batches so far."""
    notes: Sequence[str] = ()
    """Remarks for the user about what was read."""


def read_snapshot(project: Project, request: Request, source: PredictorSource) -> PoolSnapshot:
    """Read the pool for a request, to be ranked by the predictor of a source.

    Everything from the database is read in one session. Raises `FeatureError` when no candidate has features,
    `NothingToDo` when nothing is left to ask about `request.tasks`, and what `PredictorSource.open` raises.
    """
    has_model = source.round_id is not None
    rules = BatchRules.of(project.settings)
    needs = make_strategy(request.strategy, rules.options).needs if has_model else frozenset()
    with reading(project.engine) as session:
        again = again_below(rules, request, has_model=has_model)
        possible = batches.candidates(session, rules.passes, again, request.tasks)
        asked = keep_tasks(possible, request.tasks)
        covered = batches.covered_sample_ids(session)
        index = source.locate(session, [*(c.sample_id for c in asked), *covered])
        has_features = index.complete()
        candidates = [c for c in asked if c.sample_id in has_features]
        if not candidates:
            raise FeatureError(
                f"none of {counted(len(asked), 'sample')} has features{source.outdated()}",
                hint="annotate extract",
            )
        notes = []
        if without_features := len(asked) - len(candidates):
            were = either(without_features, "was", "were")
            notes.append(
                f"{counted(without_features, 'sample')} without features {were} passed over; "
                "see `annotate extract`"
            )
        covered = [sample_id for sample_id in covered if sample_id in has_features]
        clips = read_clips(session, [*(c.sample_id for c in candidates), *covered])
        ids = [c.sample_id for c in candidates]
        answers: dict[tuple[str, str], tuple[tuple[int, str], ...]] = {}
        if Requirement.VOTES in needs:
            by_key = answers_by_rater(session, rules.tasks, {*ids, *covered})
            answers = {key: tuple(by_rater.items()) for key, by_rater in by_key.items()}
        return PoolSnapshot(
            rules=rules,
            round_id=source.round_id,
            predict=source.open(session, index, clips),
            candidates=candidates,
            clip_seconds=np.array([clips.seconds[clips.row[i]] for i in ids], dtype=float),
            missing={t.id: np.array([_may_ask(t, c) for c in candidates], dtype=bool) for t in rules.tasks},
            groups={
                "speaker": numbered([clips.speakers[clips.row[i]] for i in ids]),
                "video": numbered([clips.videos[clips.row[i]] for i in ids]),
            },
            covered=covered,
            labels=label_arrays(rules.tasks, covered, read_labels(session))
            if Requirement.LABELS in needs
            else {},
            answers=answers,
            costs=read_costs(project.settings, session),
            before=_counts(batches.roles(session), possible),
            batches=stats.batches(session),
            notes=notes,
        )


def again_below(rules: BatchRules, request: Request, *, has_model: bool) -> int:
    """The number of answers below which a question may be asked again.

    0 means never: the strategy does not weigh the answers of raters, there is no model, or single questions
    are asked.
    """
    weighs = Requirement.VOTES in make_strategy(request.strategy, rules.options).needs
    return rules.most_raters if weighs and has_model and request.whole else 0


def read_costs(settings: Settings, session: Session) -> Costs:
    """The expected cost of a question by pass: the settings, updated with the times that raters took."""
    answers = [LeadTime(Modality(m), length, seconds) for m, length, seconds in lead_times(session)]
    prior = settings.costs.by_pass(len(settings.dimensions))
    return learn({m: PassCost(*cost) for m, cost in prior.items()}, answers)


def keep_tasks(candidates: Sequence[Candidate], tasks: Sequence[str]) -> list[Candidate]:
    """The candidates with only the passes of these tasks (ids); all of them if none is named.

    The multimodal pass is kept only where no other pass is left, because a rater who saw the whole can no
    longer judge a part blindly. Raises `NothingToDo` when nothing remains.
    """
    if not tasks:
        return list(candidates)
    wanted = {modality for _, modality in map(parse_task_id, tasks)}
    kept = []
    for candidate in candidates:
        passes = tuple(p for p in candidate.passes if p in wanted)
        again = tuple(p for p in candidate.again if p in wanted)
        was_shown = Modality.MULTIMODAL in candidate.partial
        if set(candidate.passes) - {Modality.MULTIMODAL} - set(passes) and not was_shown:
            passes = tuple(p for p in passes if p is not Modality.MULTIMODAL)
        if passes or again:
            kept.append(replace(candidate, passes=passes, again=again))
    if not kept:
        raise NothingToDo(
            f"no question is left for {', '.join(tasks)}",
            hint="the multimodal pass of a sample opens when its other passes are asked: leave --tasks out"
            if Modality.MULTIMODAL in wanted
            else "these passes are asked everywhere, or there is no clip to show: leave --tasks out",
        )
    return kept


def _may_ask(task: Task, candidate: Candidate) -> bool:
    if task.modality in candidate.partial:
        return task.dimension.name in candidate.partial[task.modality]
    remaining = task.modality in candidate.passes and task.id not in candidate.labelled
    return remaining or task.modality in candidate.again


def _counts(roles: Mapping[str, Role], candidates: Sequence[Candidate]) -> Counts:
    """The samples asked so far, by role. A candidate whose questions were all taken back is left out: it is
    counted when it is drawn again."""
    back = {c.sample_id for c in candidates if not (c.labelled or c.waiting or c.again)}
    counts = Counter(role for sample_id, role in roles.items() if sample_id not in back)
    return Counts(counts[Role.ACTIVE], counts[Role.AUDIT], counts[Role.HOLDOUT])
