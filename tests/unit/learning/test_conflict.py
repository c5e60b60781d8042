"""Opposite tasks are seen to conflict, identical ones to agree, and looking changes no weight."""

from dataclasses import replace

import pytest
import torch

from annotate.learning import conflict as conflicts
from annotate.learning.batches import Batch
from annotate.learning.conflict import Conflict, GradientProbe, together
from annotate.learning.losses import task_losses
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.tensors import Inputs
from annotate.learning.trainer import fit
from annotate.types import Modality, Task
from tests.support.dimensions import regression

T, A, V, M = Modality
TASKS = tuple(Task(regression(name, -1.0, 1.0), T) for name in ("plain", "same", "opposite"))
RECIPE = ModelConfig(hidden=8, members=2, epochs=12, batch_size=16, dropout=0.2)
PLAIN, SAME, OPPOSITE = (task.id for task in TASKS)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def batch(n=48, hidden=()):
    """The second task has the labels of the first, the third their negative; `hidden` ones have none."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(n, 1, 5, generator=generator)
    truth = values[:, 0, :1] + 1.0
    known = {t.id: torch.full((n,), t.id not in hidden) for t in TASKS}
    order = torch.arange(n)
    return Batch(
        Inputs({"T": values}, {"T": torch.ones(n, 1, dtype=torch.bool)}, order, order * 0),
        {PLAIN: truth, SAME: truth.clone(), OPPOSITE: -truth}, known,
        {i: k.float() for i, k in known.items()},
    )  # fmt: skip


def members(config=RECIPE, tasks=TASKS, equal_heads=True):
    """Heads start equal, so that only the labels differ."""
    nets = []
    for seed in range(config.members):
        torch.manual_seed(seed)
        nets.append(MultiTaskNet({T: 5}, tasks, config))
        if equal_heads:
            for task in tasks[1:]:
                nets[-1].head(task).load_state_dict(nets[-1].head(tasks[0]).state_dict())
    return Members(nets)


def look(made: Members, found: Batch) -> GradientProbe:
    looks = GradientProbe([made.net.head(t) for t in made.net.tasks], made.count)
    looks.take(made, found.take(torch.arange(len(found)).expand(made.count, -1)))
    return looks


def by_pair(found):
    return {(one.task, one.other): one for one in found}


def test_the_cosine_is_that_of_the_gradients_of_what_both_use():
    made, found = members(equal_heads=False), batch()
    seen = by_pair(look(made, found).of(1))
    net = MultiTaskNet({T: 5}, TASKS, RECIPE).eval()
    net.load_state_dict(made.states()[1])
    flat = []
    for i in range(3):
        net.zero_grad()
        losses, _ = task_losses([net.head(t) for t in TASKS], net(found.inputs), found)
        losses[i].backward()
        own = [p.grad for n, p in net.named_parameters() if not n.startswith("heads.")]
        flat.append(torch.cat([g.flatten() for g in own if g is not None]))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        expected = torch.nn.functional.cosine_similarity(flat[i], flat[j], dim=0).item()
        one = seen[TASKS[i].id, TASKS[j].id]
        assert (one.steps, one.conflicting) == (1, float(expected < 0))
        assert one.cosine == pytest.approx(expected, abs=1e-5)


def test_identical_tasks_agree_and_opposite_ones_conflict():
    fitted = fit(members(), batch(), None, RECIPE, [torch.Generator().manual_seed(k) for k in range(2)])
    found = by_pair(together(one.conflicts for one in fitted))
    assert found[PLAIN, SAME].cosine == pytest.approx(1, abs=1e-3)
    assert found[PLAIN, SAME].conflicting == 0
    for pair in ((PLAIN, OPPOSITE), (SAME, OPPOSITE)):
        assert found[pair].cosine < -0.2
        assert found[pair].conflicting > 0.8
    assert next(iter(found)) != (PLAIN, SAME)  # the worst first


def test_tasks_that_share_nothing_or_stand_alone_have_no_report():
    apart, alone = replace(RECIPE, sharing="none"), TASKS[:1]
    for config, tasks in ((apart, TASKS), (RECIPE, alone)):
        generators = [torch.Generator().manual_seed(k) for k in range(2)]
        fitted = fit(members(config, tasks), batch(), None, config, generators)
        assert all(one.conflicts == () for one in fitted)


def test_a_task_without_labels_is_compared_with_none():
    found = by_pair(look(members(), batch(hidden=(SAME,))).of(0))
    assert set(found) == {(PLAIN, OPPOSITE)}


def test_modalities_are_compared_where_they_meet():
    both = (TASKS[0], Task(TASKS[0].dimension, A), Task(TASKS[0].dimension, M))
    widths = {T: 5, A: 3}
    for trunk, expected in ((True, 3), (False, 2)):
        config = replace(RECIPE, members=1, options={"hard": {"trunk": trunk}})
        made = Members([MultiTaskNet(widths, both, config)])
        one = batch()
        values = {"T": one.inputs.values["T"], "A": one.inputs.values["T"][..., :3]}
        inputs = one.inputs._replace(values=values, masks=dict.fromkeys("TA", one.inputs.masks["T"]))
        ids = [t.id for t in both]
        labels = [dict.fromkeys(ids, part[PLAIN]) for part in (one.targets, one.known, one.weights)]
        found = by_pair(look(made, Batch(inputs, *labels)).of(0))
        assert len(found) == expected  # text and voice meet in the trunk, each meets both in its encoder


def test_looking_changes_no_weight(monkeypatch):
    found = []
    for share in (0.0, 1e9):
        monkeypatch.setattr(conflicts, "LARGEST_SHARE", share)
        made = members()
        torch.manual_seed(5)
        fitted = fit(made, batch(), None, RECIPE, [torch.Generator().manual_seed(k) for k in range(2)])
        found.append((made.weights(), fitted[0].conflicts[0].steps))
    assert found[0][1] == 1 and found[1][1] == 12
    assert all(torch.equal(w, found[1][0][n]) for n, w in found[0][0].items())


def test_members_are_weighed_by_the_steps_that_were_looked_at():
    one, other = Conflict("a", "b", 1.0, 0.0, 1), Conflict("a", "b", -0.5, 1.0, 3)
    worse = Conflict("a", "c", -1.0, 1.0, 2)
    assert together([[one, worse], [other]]) == (worse, Conflict("a", "b", -0.125, 0.75, 4))
