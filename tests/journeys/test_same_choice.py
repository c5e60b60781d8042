"""The code of `next-batch` is the code that `simulate` judges: the same state gives the same batch."""

from collections.abc import Collection
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, event, select
from sqlalchemy.orm import Session

from annotate.batch.choose import Streams, choose_batch
from annotate.batch.opening import make_strategy
from annotate.batch.predictor_source import PredictorSource
from annotate.batch.request import Request
from annotate.batch.snapshot import PoolSnapshot, read_snapshot
from annotate.errors import ModelError
from annotate.progress import SILENT
from annotate.project import Project
from annotate.registry import STRATEGIES
from annotate.rounds.find import predict_round
from annotate.rounds.train import ensure_round
from annotate.simulation.fit_round import FittedRound
from annotate.simulation.from_project import read_replay_data
from annotate.simulation.oracle import Oracle, PoolQuestion
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.snapshot import oracle_snapshot
from annotate.steps import next_batch as step
from annotate.types import Modality, Requirement, Role
from db.engine import writing
from db.models import Batch, Label, Question, QuestionState, Sample
from tests.journeys.test_next_batch import (  # noqa: F401 - fixtures
    ask,
    fill,
    label_asked,
    quick_training,
    side,
    studio,
)
from tests.support.factories import add_label
from tests.support.projects import MakeProject

TRAIN = 16
T, A, V, M = Modality
UNIMODAL_SETS = list(chain.from_iterable(combinations((T, A, V), size) for size in range(4)))
ANSWERED = [*UNIMODAL_SETS, (T, A, V, M)]
"""Passes of a sample that may have been answered: the multimodal one is asked after the others."""
COMPARABLE = [
    name
    for name in [*STRATEGIES.names(), "power:bald"]
    # Votes are anonymous in a replay, so what weighs raters sees something else there.
    if Requirement.VOTES not in make_strategy(name).needs
]


@pytest.fixture
def labelled(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without uniform draws whose samples have all labels."""
    for name in ("BATCH__HOLDOUT_SHARE", "BATCH__AUDIT_SHARE"):
        monkeypatch.setenv(f"ANNOTATE_{name}", "0")
    monkeypatch.setenv("ANNOTATE_PROTOCOL__RATERS", "1")
    project = make_project()
    fill(project, train=TRAIN, valid=4, test=4)
    with writing(project.engine) as session:
        for sample in session.scalars(select(Sample)).all():
            for task in project.settings.tasks():
                add_label(session, sample, task.id, float(side(sample.id)))
    return project


def answer(project: Project, data: ReplayData, answered: Collection[tuple[str, Modality]]) -> None:
    """Bring the project into the state in which these questions of the pool, and no others, are answered."""
    with writing(project.engine) as session:
        session.execute(delete(Question))
        session.execute(delete(Label).where(Label.sample_id.in_(data.pool)))
        batch = Batch(strategy="uniform", seed=0, settings={})
        session.add(batch)
        session.flush()
        for sample_id, modality in answered:
            session.add(Question(
                batch_id=batch.id, sample_id=sample_id, modality=modality, role=Role.ACTIVE, rank=0,
                score=0.0, state=QuestionState.CLOSED, key=f"{sample_id[:16]}{modality}",
            ))  # fmt: skip
            for task in data.of_pass(modality):
                label = data.labels[sample_id, task.id]
                add_label(session, session.get_one(Sample, sample_id), task.id, label.value)


def outcome(snapshot: PoolSnapshot, request: Request, seed: int) -> tuple[Any, list[float]]:
    """What a choice asks, or its error, and its scores and seconds."""
    try:
        plan = choose_batch(snapshot, request.strategy, request, Streams.of_seed(seed))
    except ModelError as error:
        return (str(error), error.hint), []
    chosen = [(c.candidate.sample_id, c.candidate.offered, c.role) for c in plan.chosen]
    return (plan.strategy, plan.fallback, plan.left, chosen), [plan.seconds, *(c.score for c in plan.chosen)]


@pytest.mark.usefixtures("quick_training")
def test_a_project_and_a_replay_in_the_same_state_give_the_same_batch(labelled: Project) -> None:
    round_id = ensure_round(labelled, device="cpu", seed=None)
    assert round_id is not None
    data = read_replay_data(labelled, tasks=(), members=None, device="cpu", votes=False)
    assert len(data.pool) == TRAIN
    predictions = predict_round(
        labelled, round_id, [*data.pool, *data.test], device="cpu", representations=True
    )

    @given(
        st.lists(st.sampled_from(ANSWERED), min_size=TRAIN, max_size=TRAIN).filter(
            lambda passes: any(M not in own for own in passes)
        ),
        st.booleans(),
        st.sampled_from(COMPARABLE),
        st.booleans(),
        st.one_of(st.integers(1, TRAIN), st.floats(20.0, 400.0)),
        st.integers(0, 1000),
    )
    def same(
        passes: list[tuple[Modality, ...]],
        has_model: bool,
        strategy: str,
        whole: bool,
        size: float,
        seed: int,
    ) -> None:
        questions = [PoolQuestion(row, m) for row, own in enumerate(passes) for m in own]
        oracle = Oracle(data, 0)
        oracle.ask(questions)
        answer(labelled, data, [(data.pool[question.row], question.modality) for question in questions])
        is_count = isinstance(size, int)
        request = Request(
            strategy, whole, n=size if is_count else None, budget_seconds=None if is_count else size
        )
        source = PredictorSource(labelled, round_id if has_model else None, "cpu")
        fitted = FittedRound({}, data.tasks if has_model else (), predictions if has_model else None)
        choice, scores = outcome(read_snapshot(labelled, request, source), request, seed)
        replayed = oracle_snapshot(data, oracle, fitted, request, 1)
        choice_in_replay, scores_in_replay = outcome(replayed, request, seed)
        assert choice == choice_in_replay
        # Samples are predicted in other chunks, which changes the last digits.
        assert scores == pytest.approx(scores_in_replay, rel=1e-3, abs=1e-5)

    same()


@pytest.mark.parametrize("strategy", ["entropy", "bait", "k-center"])
@pytest.mark.usefixtures("quick_training")
def test_a_batch_takes_one_session_to_choose_and_one_to_write(project: Project, strategy: str) -> None:
    fill(project)
    ask(project, n=20)
    label_asked(project)
    round_id = ensure_round(project, device=None, seed=None)
    sessions: list[Session] = []
    count = lambda session, *_: sessions.append(session)  # noqa: E731
    event.listen(Session, "after_begin", count)
    try:
        seed, plan = step._choose(project, Request(strategy, whole=True, n=5), round_id, SILENT)
        assert plan.chosen and len(sessions) == 1
        step._write(project, plan, seed)
        assert len(sessions) == 2
    finally:
        event.remove(Session, "after_begin", count)
