"""Which samples and tasks a step teaches, and what stands still meanwhile."""

from dataclasses import replace

import pytest
import torch

from annotate.learning.batches import Batch
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.sampling import Sampler
from annotate.learning.tensors import Inputs
from annotate.learning.trainer import _Run, fit
from annotate.types import UNIMODAL
from tests.support.dimensions import SENTIMENT_TASKS

IDS = [task.id for task in SENTIMENT_TASKS]
RECIPE = ModelConfig(hidden=8, members=2, epochs=3, batch_size=4, dropout=0.0, weight_decay=0.5)
WIDTHS = dict.fromkeys(UNIMODAL, 3)


@pytest.fixture(autouse=True)
def _repeatable():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def batch(known: torch.Tensor, video: torch.Tensor | None = None) -> Batch:
    """One row of noise per modality; `known` (n, tasks)."""
    n = len(known)
    values = {m.value: torch.randn(n, 1, 3) for m in UNIMODAL}
    masks = {m.value: torch.ones(n, 1, dtype=torch.bool) for m in UNIMODAL}
    place = torch.arange(n)
    inputs = Inputs(values, masks, place if video is None else video, place)
    by_task = dict(zip(IDS, known.unbind(1), strict=True))
    return Batch(
        inputs, {i: torch.randn(n, 1) for i in IDS}, by_task, {i: k.float() for i, k in by_task.items()}
    )


def generators(count: int = 2, seed: int = 5) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + k) for k in range(count)]


def members(count: int = 2, config: ModelConfig = RECIPE) -> Members:
    return Members([MultiTaskNet(WIDTHS, SENTIMENT_TASKS, config) for _ in range(count)])


def heads(of: Members) -> dict[str, torch.Tensor]:
    """By task id: (members, everything) the weights of its head."""
    return {
        task.id: torch.cat([p.detach().flatten(1) for p in of.of_head(task)], 1).clone()
        for task in SENTIMENT_TASKS
    }


def one_task_counts(seed: int = 5) -> tuple[list[str], list[torch.Tensor]]:
    torch.manual_seed(3)
    known = torch.rand(40, 4) < torch.tensor([1.0, 0.5, 0.25, 0.0])
    config = replace(RECIPE, sampling="one-task")
    sampler = Sampler(batch(known), IDS, config, members=2, whole_videos=False)
    steps = list(sampler.epoch(generators(seed=seed)))
    assert sampler.steps == len(steps)
    for step in steps:
        assert step.counted.sum(dim=1).tolist() == [1, 1]
        task = int(step.counted[0].nonzero())
        assert step.counted[1, task] and known[step.indices, task].all()
    return [IDS[int(s.counted[0].nonzero())] for s in steps], [s.indices for s in steps]


def test_one_task_steps_draw_a_task_as_often_as_it_has_labels_and_see_each_label_once():
    drawn, indices = one_task_counts()
    seen = {i: [rows for task, rows in zip(drawn, indices, strict=True) if task == i] for i in IDS}
    assert not seen["sentiment.M"]
    for task_id in IDS[:3]:
        for k in range(2):
            rows = torch.cat([r[k] for r in seen[task_id]]).tolist()
            assert len(rows) == len(set(rows))
    assert len(seen["sentiment.T"]) == 10 > len(seen["sentiment.A"]) > len(seen["sentiment.V"]) > 0
    assert drawn != sorted(drawn)


def test_the_same_generators_draw_the_same_tasks():
    assert one_task_counts()[0] == one_task_counts()[0] != one_task_counts(seed=8)[0]


def test_a_one_task_step_moves_no_other_head_and_only_what_it_reads():
    config = replace(RECIPE, sampling="one-task")
    made = members(config=config)
    run = _Run(made, batch(torch.ones(12, 4, dtype=torch.bool)), None, config, generators(), None)
    for step in [s for _ in range(2) for s in run.sampler.epoch(run.generators)]:
        before, stacked = heads(made), made.weights()
        run._step(step)
        after = heads(made)
        for i, task in enumerate(SENTIMENT_TASKS):
            moved = not torch.equal(before[task.id], after[task.id])
            assert moved == bool(step.counted[0, i]), task.id
        if step.counted[0, IDS.index("sentiment.T")]:
            untouched = [n for n in stacked if "encoders.A" in n or "encoders.V" in n or "fusion" in n]
            assert untouched
            assert all(torch.equal(stacked[n], made.weights()[n]) for n in untouched)
            assert all(made.parameters[n].grad is None for n in untouched)


def test_a_task_without_labels_moves_no_head_and_a_task_seen_by_one_member_moves_his_only():
    known = torch.ones(8, 4, dtype=torch.bool)
    known[:, 1] = False  # A: nobody
    known[4:, 2] = False  # V: the first four
    made = members()
    run = _Run(made, batch(known), None, RECIPE, generators(), None)
    both, one = torch.arange(8).view(2, 4) % 4, torch.arange(8).view(2, 4)
    start = heads(made)
    for indices in (both, one, one):  # moments are there from the first step on
        before = heads(made)
        counted = torch.stack([run.sampler.labelled[k, indices[k]].any(0) for k in range(2)])
        run._step(type(next(run.sampler.epoch(generators())))(indices, counted))
        after = heads(made)
        assert torch.equal(after["sentiment.A"], start["sentiment.A"])
        assert not torch.equal(after["sentiment.V"][0], before["sentiment.V"][0])
        assert torch.equal(after["sentiment.V"][1], before["sentiment.V"][1]) == (indices is one)
        for k in range(2):
            assert not torch.equal(after["sentiment.T"][k], before["sentiment.T"][k])


def test_whole_videos_stay_together_and_members_share_their_order():
    video = torch.tensor([0, 1, 0, 2, 2, 1, 3, 3, 3, 3, 3, 3, 4])
    known = torch.ones(13, 4, dtype=torch.bool)
    sampler = Sampler(batch(known, video), IDS, RECIPE, members=2, whole_videos=True)
    orders = set()
    for seed in range(6):
        seen = []
        for step in sampler.epoch(generators(seed=seed)):
            assert torch.equal(step.indices[0], step.indices[1])
            rows = step.indices[0].tolist()
            numbers = video[step.indices[0]].tolist()
            for number in set(numbers):
                assert [i for i in rows if video[i] == number] == (video == number).nonzero()[:, 0].tolist()
            assert len(rows) <= 4 or len(set(numbers)) == 1
            seen += rows
        assert sorted(seen) == list(range(13))
        orders.add(tuple(seen))
    assert len(orders) > 1


def test_whole_videos_of_one_task_hold_a_label_of_it():
    video = torch.arange(12) // 3
    known = torch.zeros(12, 4, dtype=torch.bool)
    known[1, 0] = known[5, 1] = known[6, 1] = True
    config = replace(RECIPE, sampling="one-task")
    sampler = Sampler(batch(known, video), IDS, config, members=2, whole_videos=True)
    steps = list(sampler.epoch(generators()))
    found = sorted((int(s.counted[0].nonzero()), sorted(s.indices[0].tolist())) for s in steps)
    assert found == [(0, [0, 1, 2]), (1, [3, 4, 5]), (1, [6, 7, 8])]


@pytest.mark.parametrize("sampling", ["joint", "one-task"])
def test_both_ways_learn(sampling):
    config = replace(RECIPE, sampling=sampling, epochs=20, weight_decay=0.0, learning_rate=1e-2)
    first: list[dict[str, float]] = []
    made = batch(torch.rand(24, 4) < 0.8)
    fit(members(config=config), made, None, config, generators(), lambda e: first.append(dict(e.losses)))
    assert all(first[-1][i] < 0.5 * first[0][i] for i in IDS)
