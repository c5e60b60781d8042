"""Fusions whose modalities look at each other's rows."""

import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.encoders.base import attention
from annotate.learning.fusions.co_attention import CoAttentionLayer
from tests.support.fusion_factory import HIDDEN, changed, made, parameters, samples, without

LOOKING = ["co-attention", "cross-modal"]


def only_text_is_read(fusion):
    """The last layer no longer sees the other modalities themselves."""
    with torch.no_grad():
        weight = fusion.join[0].weight
        weight[:, HIDDEN : 3 * HIDDEN] = 0
    return fusion


@pytest.mark.parametrize("name", LOOKING)
def test_what_the_rows_of_one_modality_show_reaches_the_code_of_another(name):
    fusion = only_text_is_read(made(name))
    assert fusion.reads_states
    representations, inputs = samples()
    plain = fusion(representations, inputs)
    moved = representations["A"].states.clone()
    moved[:, 2] += 3.0
    assert not torch.allclose(plain, fusion(changed(representations, "A", states=moved), inputs), atol=1e-4)
    vector = changed(representations, "A", vector=representations["A"].vector + 3)
    assert torch.allclose(plain, fusion(vector, inputs), atol=1e-6)


@pytest.mark.parametrize("name", LOOKING)
def test_rows_that_are_padding_and_modalities_that_are_missing_are_not_seen(name):
    fusion = made(name)
    representations, inputs = samples()
    mask = representations["A"].mask.clone()
    mask[:, 3:] = False
    loud = representations["A"].states.clone()
    loud[:, 3:] = 50.0
    short = changed(representations, "A", mask=mask)
    assert torch.allclose(fusion(short, inputs), fusion(changed(short, "A", states=loud), inputs), atol=1e-6)
    gone = without(representations, inputs, "A")
    other = changed(gone[0], "A", vector=-gone[0]["A"].vector, states=-gone[0]["A"].states)
    assert torch.equal(fusion(*gone), fusion(other, gone[1]))


@pytest.mark.parametrize("name", LOOKING)
def test_one_modality_alone_and_none_at_all_still_make_a_code(name):
    representations, inputs = samples()
    for key in "TAV":
        representations, inputs = without(representations, inputs, key)
    assert torch.isfinite(made(name)(representations, inputs)).all()
    text = made(name, widths={"T": 5})(*samples(widths={"T": 5}))
    assert text.shape == (6, HIDDEN) and torch.isfinite(text).all()


def test_rows_of_a_set_have_no_order_for_co_attention_and_one_for_cross_modal():
    representations, inputs = samples()
    turned = changed(representations, "A", states=representations["A"].states.flip(1))
    one, other = made("co-attention"), made("cross-modal")
    assert torch.allclose(one(representations, inputs), one(turned, inputs), atol=1e-5)
    assert not torch.allclose(other(representations, inputs), other(turned, inputs), atol=1e-4)


def test_co_attention_compares_two_modalities_once_and_reads_it_both_ways():
    """Of one affinity between text and audio, rows are what text sees in audio, columns the other way."""
    torch.manual_seed(0)
    layer = CoAttentionLayer(2, HIDDEN, 4, 0.0)
    states, mask = torch.randn(2, 3, 5, HIDDEN), torch.ones(2, 3, 5, dtype=torch.bool)
    attended = layer.attend(states, mask, torch.ones(2, 3, 1))
    every = torch.cat([states, layer.nowhere.expand(-1, 3, -1, -1)], dim=-2)
    affinity = layer.affinity(every[:1], every[1:])[0]
    assert torch.allclose(attended[0], (affinity.softmax(dim=-1) @ every[1])[:, :5], atol=1e-5)
    assert torch.allclose(attended[1], (affinity.mT.softmax(dim=-1) @ every[0])[:, :5], atol=1e-5)


def test_co_attention_is_stacked_as_often_as_asked():
    sizes = [parameters(made("co-attention", layers=k)) for k in (1, 2, 3)]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


def test_cross_modal_has_a_transformer_per_direction_and_a_missing_source_tells_nothing():
    fusion = made("cross-modal")
    assert sorted(zip(fusion.targets, fusion.sources, strict=True)) == [
        (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1),
    ]  # fmt: skip
    block = fusion.across[0]
    rows = torch.randn(6, 4, 3, 16)
    nothing = torch.zeros(6, 4, 3, dtype=torch.bool)
    assert (block.attend(rows, rows, nothing) == 0).all()
    assert (block.attend(rows, rows, ~nothing) != 0).any()


def test_shares_sum_to_1_where_one_may_look_and_are_0_elsewhere():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    shares = attention(torch.tensor([[1.0, 9.0, 2.0], [1.0, 2.0, 3.0]]), mask)
    assert torch.allclose(shares.sum(dim=-1), torch.tensor([1.0, 0.0]))
    assert (shares[~mask] == 0).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [("co-attention", {"layers": 0}), ("cross-modal", {"heads": 3}), ("contextual", {"reach": -1})],
)
def test_impossible_options_are_refused_with_a_way_out(name, options):
    with pytest.raises(ConfigError) as caught:
        made(name, **options)
    assert f"train.options.{name}" in caught.value.hint
