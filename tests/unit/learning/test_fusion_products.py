"""Fusions in which modalities multiply each other: gates and tensors."""

import pytest
import torch
from torch import nn

from annotate.errors import ConfigError
from tests.support.fusion_factory import WIDTHS, changed, made, parameters, samples, without


def test_gates_lie_between_0_and_1_and_read_every_modality():
    fusion = made("gated")
    representations, inputs = samples()
    gates = fusion.gates(representations, inputs)
    assert gates.shape == (3, 6, 8)
    assert ((gates > 0) & (gates < 1)).all()
    louder = fusion.gates(changed(representations, "A", vector=representations["A"].vector + 1), inputs)
    assert all(not torch.allclose(a, b) for a, b in zip(gates, louder, strict=True))


def test_the_gated_code_is_the_sum_of_what_the_gates_let_through():
    fusion = made("gated")
    representations, inputs = samples()
    content = [
        torch.tanh(representations[key].vector @ fusion.content.weight[i] + fusion.content.bias[i])
        for i, key in enumerate(WIDTHS)
    ]
    expected = (fusion.gates(representations, inputs) * torch.stack(content)).sum(dim=0)
    assert torch.allclose(fusion(representations, inputs), expected, atol=1e-6)


def test_nothing_larger_than_1_comes_through_the_gates_of_one_modality():
    fusion = made("gated", hidden=32)
    representations, inputs = samples(hidden=32)
    for key in ("A", "V"):
        representations, inputs = without(representations, inputs, key)
    assert (
        fusion(changed(representations, "T", vector=100 * representations["T"].vector), inputs).abs().max()
        <= 1
    )


def test_a_closed_gate_hides_its_modality():
    fusion = made("gated")
    representations, inputs = samples()
    with torch.no_grad():
        fusion.gate.weight.zero_()
        fusion.gate.bias.copy_(torch.tensor([30.0, -200.0, 30.0]).repeat_interleave(8))
    moved = changed(representations, "A", vector=representations["A"].vector + 3)
    assert torch.equal(fusion(representations, inputs), fusion(moved, inputs))


def corners(fusion, inputs, representations, others, keys):
    """The mixed difference of the representation before its last layer: what `keys` only say together."""
    total = torch.zeros(6, 8)
    for which in range(2 ** len(keys)):
        taken = dict(representations)
        for i, key in enumerate(keys):
            taken[key] = (others if which >> i & 1 else representations)[key]
        total = total + (-1) ** which.bit_count() * fusion(taken, inputs)
    return total


@pytest.mark.parametrize("name", ["tensor", "low-rank"])
def test_a_tensor_holds_what_one_two_and_three_modalities_say_together_and_nothing_else(name):
    fusion = made(name)
    fusion.finish = nn.Identity()
    (representations, inputs), (others, _) = samples(), samples(seed=2)
    for keys in ("T", "A", "V", "TA", "TV", "AV", "TAV"):
        assert corners(fusion, inputs, representations, others, keys).abs().max() > 1e-3, keys
    # Along one modality it is a straight line: every product has one factor of each.
    middle = changed(representations, "A", vector=(representations["A"].vector + others["A"].vector) / 2)
    ends = [fusion(c, inputs) for c in (representations, {**representations, "A": others["A"]})]
    assert torch.allclose(fusion(middle, inputs), sum(ends) / 2, atol=1e-5)


def test_the_tensor_is_the_outer_product_with_a_1_ahead_of_each():
    fusion = made("tensor", size=2)
    representations, inputs = samples()
    t, a, v = (
        torch.cat(
            [
                torch.ones(6, 1),
                representations[key].vector @ fusion.project.weight[i] + fusion.project.bias[i],
            ],
            1,
        )
        for i, key in enumerate(WIDTHS)
    )
    expected = torch.einsum("ni,nj,nk->nijk", t, a, v).flatten(1)
    assert torch.allclose(fusion.products(representations, inputs), expected, atol=1e-5)
    assert torch.allclose(expected[:, 0], torch.ones(6))


def test_a_missing_modality_leaves_the_products_of_the_others():
    fusion = made("tensor", size=2)
    representations, inputs = samples()
    full = fusion.products(representations, inputs).unflatten(1, (3, 3, 3))
    gone = fusion.products(*without(representations, inputs, "V")).unflatten(1, (3, 3, 3))
    assert torch.equal(gone[..., 0], full[..., 0])
    assert (gone[..., 1:] == 0).all()


def test_low_rank_is_the_tensor_with_the_weights_that_its_factors_make():
    low, full = made("low-rank", size=3, rank=2), made("tensor", size=3)
    representations, inputs = samples()
    with torch.no_grad():
        rebuilt = torch.einsum("rih,rjh,rkh->hijk", *low.factors)
        full.weigh.weight.copy_(rebuilt.flatten(1))
        full.weigh.bias.copy_(low.bias.normal_())
    full.project = low.project
    assert torch.allclose(low(representations, inputs), full(representations, inputs), atol=1e-5)
    hidden = without(representations, inputs, "T", slice(1, 4))
    assert torch.allclose(low(*hidden), full(*hidden), atol=1e-5)


def test_low_rank_has_fewer_parameters_at_the_same_size_and_by_default():
    assert parameters(made("low-rank", size=8, hidden=64)) < parameters(made("tensor", size=8, hidden=64)) / 4
    assert parameters(made("low-rank", hidden=64)) < parameters(made("tensor", hidden=64))


def test_a_tensor_too_large_is_refused_with_a_way_out():
    with pytest.raises(ConfigError, match="274,625 products") as caught:
        made("tensor", size=64)
    assert "low-rank" in caught.value.hint
    for name, options in (("tensor", {"size": 0}), ("low-rank", {"rank": 0})):
        with pytest.raises(ConfigError):
            made(name, **options)
