"""The two ends: features joined before anything is learned, and decisions joined after everything is."""

import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.fusions.early import resampled
from tests.support.fusion_factory import WIDTHS, made, samples, without


def test_early_reads_the_rows_and_no_code_of_any_encoder():
    fusion = made("early")
    (representations, inputs), (others, _) = samples(), samples(seed=2)
    assert torch.equal(fusion(representations, inputs), fusion(others, inputs))
    moved = inputs._replace(values={**inputs.values, "A": inputs.values["A"] + 1})
    assert not torch.allclose(fusion(representations, inputs), fusion(representations, moved))


def test_early_sees_what_two_modalities_show_at_the_same_time():
    """The same rows of audio in another order: alone they say the same, beside those of text they do not."""
    fusion = made("early", stretches=4)
    representations, inputs = samples(rows=(4, 4, 4))
    turned = {**inputs.values, "A": inputs.values["A"].flip(1)}
    assert not torch.allclose(
        fusion(representations, inputs), fusion(representations, inputs._replace(values=turned)), atol=1e-3
    )
    all_turned = inputs._replace(values={k: v.flip(1) for k, v in inputs.values.items()})
    assert torch.allclose(fusion(representations, inputs), fusion(representations, all_turned), atol=1e-5)


def test_early_puts_rows_of_equal_number_side_by_side_as_they_are():
    fusion = made("early", stretches=4)
    _, inputs = samples(rows=(4, 4, 4))
    joined = fusion.joined(inputs)
    assert torch.allclose(joined[..., :12], torch.cat(list(inputs.values.values()), dim=-1), atol=1e-6)
    assert joined.shape[-1] == 12 + 3
    assert (joined[..., 12:] == 1).all()


def test_early_aligns_by_time_so_that_twice_as_many_rows_say_the_same():
    fusion = made("early")
    representations, inputs = samples()
    slow = inputs._replace(
        values={**inputs.values, "V": inputs.values["V"].repeat_interleave(2, dim=1)},
        masks={**inputs.masks, "V": inputs.masks["V"].repeat_interleave(2, dim=1)},
    )
    assert torch.allclose(fusion(representations, inputs), fusion(representations, slow), atol=1e-5)


def test_a_stretch_is_the_mean_of_its_rows_weighted_by_overlap():
    values = torch.tensor([[[1.0], [2.0], [6.0], [9.0]]])
    mask = torch.tensor([[True, True, True, False]])
    assert torch.allclose(resampled(values, mask, 2)[0, :, 0], torch.tensor([4 / 3, 14 / 3]))
    assert torch.allclose(resampled(values, mask, 6)[0, :, 0], torch.tensor([1.0, 1, 2, 2, 6, 6]))
    assert (resampled(values, torch.zeros_like(mask), 3) == 0).all()


def test_early_says_the_same_of_single_rows_whatever_the_padding():
    fusion = made("early")
    representations, inputs = samples(rows=(1, 1, 1))
    padded = inputs._replace(
        values={k: torch.nn.functional.pad(v, (0, 0, 0, 2), value=3.0) for k, v in inputs.values.items()},
        masks={k: torch.nn.functional.pad(v, (0, 2)) for k, v in inputs.masks.items()},
    )
    assert torch.allclose(fusion(representations, inputs), fusion(representations, padded), atol=1e-6)


@pytest.mark.parametrize("learned", [True, False])
def test_the_head_of_the_late_code_is_the_weighted_mean_of_its_answers_to_each_modality(learned):
    fusion = made("late", T=1.0, A=2.0, V=5.0, learned=learned)
    representations, inputs = samples()
    head = torch.nn.Linear(8, 3)
    each = torch.stack([head(representations[key].vector) for key in WIDTHS])
    expected = (torch.tensor([1.0, 2.0, 5.0])[:, None, None] * each).sum(dim=0) / 8
    assert torch.allclose(head(fusion(representations, inputs)), expected, atol=1e-6)


def test_the_late_weights_of_a_missing_modality_go_to_the_others():
    fusion = made("late", T=1.0, A=2.0, V=5.0)
    representations, inputs = without(*samples(), "V", slice(0, 2))
    fused = fusion(representations, inputs)
    assert torch.allclose(
        fused[:2], ((representations["T"].vector + 2 * representations["A"].vector) / 3)[:2], atol=1e-6
    )
    assert not torch.allclose(
        fused[2:], ((representations["T"].vector + 2 * representations["A"].vector) / 3)[2:], atol=1e-2
    )
    for key in WIDTHS:
        representations, inputs = without(representations, inputs, key)
    assert (fusion(representations, inputs) == 0).all()


def test_late_weights_are_learned_unless_given_for_good():
    assert [n for n, _ in made("late").named_parameters()] == ["logits"]
    fixed = made("late", learned=False)
    assert not list(fixed.parameters()) and "logits" in fixed.state_dict()


def test_what_cannot_be_asked_of_them_is_refused_with_a_way_out():
    with pytest.raises(ConfigError, match="above 0") as caught:
        made("late", T=0.0)
    assert "[features]" in caught.value.hint
    with pytest.raises(ConfigError, match="stretch"):
        made("early", stretches=0)
