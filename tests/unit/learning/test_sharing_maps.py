"""Who shares which encoder and which decoder; and one processor that reads a cache for every task."""

from itertools import pairwise

import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.sharings.central_processor import _links
from annotate.learning.tensors import Inputs
from annotate.types import Dimension, Modality, Task
from tests.support.dimensions import SENTIMENT, SENTIMENT_TASKS
from tests.support.sharing_nets import WIDTHS, network, samples, taught

HIDDEN = 8
AROUSAL = Dimension("arousal", SENTIMENT.kind, SENTIMENT.answers)
EIGHT = (*SENTIMENT_TASKS, *(Task(AROUSAL, m) for m in Modality))
MAPS = ("one-to-many", "many-to-one", "many-to-many")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def size(net) -> int:
    return sum(p.numel() for p in net.parameters())


def mapped(name: str, tasks=EIGHT) -> MultiTaskNet:
    return network("encoder-decoder", tasks, hidden=HIDDEN, map=name)


# encoder-decoder


def layer(inputs: int) -> int:
    """A linear layer and its norm."""
    return (inputs + 1) * HIDDEN + 2 * HIDDEN


ENCODERS = {m: layer(width) for m, width in WIDTHS.items()}
WHOLE = sum(ENCODERS.values()) + layer(3 * (HIDDEN + 1))
"""Encoders of all modalities, and their fusion."""
DECODER = layer(HIDDEN) + (HIDDEN + 1) * HIDDEN
EACH = sum(ENCODERS.values()) + WHOLE
"""Encoders of their own for one task of each of T, A, V and M."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one-to-many", WHOLE + 8 * DECODER),
        ("many-to-one", 2 * EACH + DECODER),
        ("many-to-many", EACH + 2 * DECODER),
    ],
)
def test_a_map_has_as_many_parameters_as_its_encoders_decoders_and_heads(name, expected):
    assert size(mapped(name)) == expected + 8 * (HIDDEN + 1)


def used(name: str, task: Task) -> tuple[set[str], set[str]]:
    """The numbers of the encoders, and of the decoders, that learn from the task."""
    net = mapped(name)
    inputs, _ = samples()
    torch.autograd.backward(net(inputs).heads[task.id].square().sum())
    moved = [n.split(".") for n, p in net.named_parameters() if p.grad is not None and (p.grad != 0).any()]
    return tuple({n[2] for n in moved if n[1] == part} for part in ("banks", "decoders"))


@pytest.mark.parametrize(
    ("name", "encoders", "decoders"),
    [("one-to-many", 1, 8), ("many-to-one", 8, 1), ("many-to-many", 4, 2)],
)
def test_tasks_share_the_encoders_and_decoders_of_the_map_and_no_others(name, encoders, decoders):
    found = {task: used(name, task) for task in EIGHT}
    assert all(len(part) == 1 for parts in found.values() for part in parts)
    assert len({min(parts[0]) for parts in found.values()}) == encoders
    assert len({min(parts[1]) for parts in found.values()}) == decoders
    for one, other in pairwise(EIGHT):
        if name == "many-to-many":
            assert (found[one][0] == found[other][0]) == (one.modality is other.modality)
            assert (found[one][1] == found[other][1]) == (one.dimension == other.dimension)


@pytest.mark.parametrize("name", MAPS)
def test_every_map_learns_each_task(name):
    inputs, targets = samples()
    said = taught(mapped(name, SENTIMENT_TASKS), inputs, targets)
    for task_id, wanted in targets.items():
        assert float((said[task_id] - wanted).square().mean()) < 0.5 * float(wanted.var()), task_id


def test_a_map_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="cannot be 'one-to-one'") as caught:
        mapped("one-to-one")
    assert "many-to-many" in caught.value.hint


# central-processor


def central(tasks=SENTIMENT_TASKS, **options) -> MultiTaskNet:
    torch.manual_seed(0)
    said = {"central-processor": options, "temporal-cnn": {"kernels": (1,)}}
    config = ModelConfig(
        hidden=HIDDEN, dropout=0.0, encoder="temporal-cnn", sharing="central-processor", options=said
    )
    return MultiTaskNet(WIDTHS, tasks, config).eval()


def sequences(n=4, rows=8) -> Inputs:
    made = torch.Generator().manual_seed(0)
    values = {m.value: torch.randn(n, rows, width, generator=made) for m, width in WIDTHS.items()}
    masks = {key: torch.ones(n, rows, dtype=torch.bool) for key in values}
    return Inputs(values, masks, torch.arange(n), torch.zeros(n, dtype=torch.long))


def test_one_processor_serves_all_tasks_and_another_task_costs_a_token_and_a_head():
    assert size(central(EIGHT)) - size(central(SENTIMENT_TASKS)) == 4 * (HIDDEN + HIDDEN + 1)
    net = central(EIGHT)
    inputs = sequences()
    learning = []
    for task in EIGHT:
        net.zero_grad()
        torch.autograd.backward(net(inputs).heads[task.id].square().sum())
        learning.append(
            {
                n
                for n, p in net.named_parameters()
                if p.grad is not None
                and (p.grad != 0).any()
                and n.split(".")[1] in ("temporal", "spatial", "think")
            }
        )
    assert len(learning[0]) > 10
    assert all(found == learning[0] for found in learning)


@pytest.mark.parametrize("cache", [True, False])
def test_the_order_of_the_rows_is_read_from_the_cache_of_time_and_from_nowhere_else(cache):
    net, inputs = central(cache=cache), sequences()
    turned = inputs._replace(values={key: rows.flip(1) for key, rows in inputs.values.items()})
    with torch.no_grad():
        one, two = net(inputs).heads, net(turned).heads
    for task in SENTIMENT_TASKS:
        assert torch.allclose(one[task.id], two[task.id], atol=1e-5) == (not cache), task.id


def test_rows_are_read_one_by_one_where_the_code_of_all_says_the_same():
    """Under the maximum over time, what is quieter than another row leaves no trace."""
    found = []
    for cache in (True, False):
        net, inputs = central(cache=cache, stretches=1), sequences()
        encoder = net.sharing.peripherals["T"]
        with torch.no_grad():
            encoder.filters[0].weight.zero_()[:, 0] = 1.0
            loud, quiet = (inputs.values["T"].clone() for _ in range(2))
            loud[:, 0, 0], loud[:, 1:, 0] = 9.0, 1.0
            quiet[:, 0, 0], quiet[:, 1:, 0] = 9.0, 3.0
            one, two = (net(inputs._replace(values={**inputs.values, "T": v})).heads for v in (loud, quiet))
        found.append(torch.allclose(one["sentiment.T"], two["sentiment.T"], atol=1e-5))
    assert found == [False, True]


def test_stretches_divide_the_rows_that_are_there_evenly():
    mask = torch.arange(8) < torch.tensor([8, 4, 3, 0])[:, None]
    links = _links(mask, 4)
    assert torch.equal(links.sum(dim=2).bool(), mask)
    assert links.sum(dim=1).tolist() == [[2, 2, 2, 2], [1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert (links[0].int().argmax(dim=1).diff() >= 0).all(), "in their order"


def test_a_row_is_as_loud_as_the_stretch_that_it_is_tied_to():
    """The link array: what draws a token to a stretch of time draws it to the rows of that stretch."""
    net, inputs = central(stretches=2), sequences(rows=4)
    seen = []
    look = net.sharing.spatial.forward
    net.sharing.spatial.forward = lambda *given: seen.append(given[3]) or look(*given)
    with torch.no_grad():
        net(inputs)
    louder = seen[0][..., :4]  # (n, heads, tasks, rows of text)
    assert torch.equal(louder[..., 0], louder[..., 1])
    assert torch.equal(louder[..., 2], louder[..., 3])
    assert not torch.allclose(louder[:, :, 0, 0], louder[:, :, 0, 2])


def test_no_stretches_are_refused():
    with pytest.raises(ConfigError, match="stretches") as caught:
        central(stretches=0)
    assert caught.value.hint
