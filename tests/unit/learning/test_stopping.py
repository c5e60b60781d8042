"""When tasks and members stop, and whose weights are kept."""

from dataclasses import replace

import pytest
import torch

from annotate.learning.model_config import ModelConfig
from annotate.learning.stopping import Stopping
from annotate.learning.trainer import _Run
from annotate.types import Modality
from tests.support.dimensions import SENTIMENT_TASKS
from tests.unit.learning.test_sampling import batch, generators, heads, members

T, M = 0, 3
RECIPE = ModelConfig(
    hidden=8, members=1, epochs=40, patience=2, batch_size=4, dropout=0.0, stopping="task-wise"
)


def look(losses: list[list[float]], config: ModelConfig = RECIPE, absent: tuple[int, ...] = ()) -> Stopping:
    """One member, valid losses per epoch of T, A, V, M."""
    made = Stopping(1, SENTIMENT_TASKS, config)
    present = torch.tensor([[i not in absent for i in range(4)]])
    for epoch, row in enumerate(losses, 1):
        if bool(made.running.any()):
            made.update(epoch, torch.tensor([row]), present)
    return made


WORSE_TEXT = [[1.0, 1.0, 1.0, 1.0], [1.1, 0.9, 0.9, 0.9], [1.2, 0.8, 0.8, 0.8], [0.5, 0.7, 0.7, 0.7]]


def test_a_task_stops_at_its_own_plateau_and_never_starts_again():
    made = look(WORSE_TEXT)
    assert made.active.tolist() == [[False, True, True, True]]
    assert made.running.all()


def test_joint_stopping_keeps_every_task_until_their_mean_no_longer_falls():
    made = look([*WORSE_TEXT, [0.9] * 4, [0.9] * 4, [0.1] * 4], replace(RECIPE, stopping="joint"))
    assert made.active.all()
    assert (int(made.ended), int(made.best_epoch)) == (6, 4)


def test_the_member_ends_with_its_multimodal_task_and_keeps_that_tasks_best_epoch():
    falling = [[1 / e, 1 / e, 1 / e, m] for e, m in enumerate((1.0, 0.4, 0.5, 0.6, 0.1), 1)]
    made = look(falling)
    assert not made.running.any()
    assert (int(made.ended), int(made.best_epoch)) == (4, 2)
    assert float(made.best_loss) == pytest.approx(0.4)


def test_without_valid_labels_of_the_multimodal_task_all_tasks_are_main():
    made = look([[1.0, 0.1, 0.1, 0.0], [0.8, 0.2, 0.2, 0.0], [0.7, 0.3, 0.3, 0.0]], absent=(M,))
    assert made.running.all()
    assert made.active.tolist() == [[True, False, False, True]]


def test_a_stopped_task_is_no_longer_learned_and_its_head_stays_while_others_go_on():
    known = torch.ones(12, 4, dtype=torch.bool)
    made = members(2)
    run = _Run(made, batch(known), batch(known), RECIPE, generators(), None)
    run.one_epoch()
    run.stopping.active[0, T] = False  # of the first member only
    before = heads(made)
    run.one_epoch()
    after = heads(made)
    assert torch.equal(after["sentiment.T"][0], before["sentiment.T"][0])
    assert not torch.equal(after["sentiment.T"][1], before["sentiment.T"][1])
    assert not torch.equal(after["sentiment.M"][0], before["sentiment.M"][0])
    run.stopping.active[:, T] = False
    run.one_epoch()
    assert torch.equal(heads(made)["sentiment.T"][0], before["sentiment.T"][0])
    assert run.losses[:, T].isnan().all()


def test_a_noisy_task_stops_before_the_one_it_would_disturb():
    """Text labels are noise; the multimodal ones follow from the features."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    train, valid = (batch(torch.ones(n, 4, dtype=torch.bool)) for n in (60, 60))
    for part in (train, valid):
        values = part.inputs.values
        part.targets["sentiment.M"][:] = values["T"][:, 0, :1] + values["A"][:, 0, :1]
    config = replace(RECIPE, patience=4, learning_rate=1e-2, epochs=60)
    run = _Run(members(1, config), train, valid, config, generators(1), None)
    stopped: dict[str, int] = {}
    while run.epoch < run.epochs and bool(run.stopping.running.any()):
        run.one_epoch()
        for task, active in zip(SENTIMENT_TASKS, run.stopping.active[0].tolist(), strict=True):
            if not active:
                stopped.setdefault(task.id, run.epoch)
    assert stopped["sentiment.T"] < stopped.get("sentiment.M", 61)
    fitted = run.finish()[0]
    assert fitted.valid_loss is not None and fitted.valid_loss < 0.3
    assert SENTIMENT_TASKS[M].modality is Modality.MULTIMODAL
