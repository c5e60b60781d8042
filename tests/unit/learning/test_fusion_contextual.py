"""The fusion over the utterances of a video looks at all of them, and at no other video."""

import pytest
import torch

from tests.support.fusion_factory import HIDDEN, changed, made, samples, without

VIDEOS = [0, 0, 0, 1, 1, 2]
FIRST, REST = slice(0, 3), slice(3, 6)


def moved(representations, key: str, rows):
    vector = representations[key].vector.clone()
    vector[rows] += 2.0
    return changed(representations, key, vector=vector)


@pytest.mark.parametrize("key", ["T", "A", "V"])
def test_an_utterance_sees_those_of_its_video_and_no_others(key):
    fusion = made("contextual")
    assert fusion.needs_context
    representations, inputs = samples(videos=VIDEOS)
    plain, other = fusion(representations, inputs), fusion(moved(representations, key, 0), inputs)
    assert not torch.allclose(plain[1], other[1], atol=1e-4)  # next to it
    assert not torch.allclose(plain[2], other[2], atol=1e-5)  # beyond the reach, by attention
    assert torch.equal(plain[REST], other[REST])


def test_other_videos_in_the_batch_change_nothing():
    fusion = made("contextual")
    representations, inputs = samples(videos=VIDEOS)
    plain = fusion(representations, inputs)
    noisy = representations
    for key in "TAV":
        noisy = moved(noisy, key, REST)
    assert torch.equal(plain[FIRST], fusion(noisy, inputs)[FIRST])
    gone = without(representations, inputs, "A", REST)
    assert torch.equal(plain[FIRST], fusion(*gone)[FIRST])


def test_an_utterance_alone_in_its_video_says_what_it_says_alone_in_the_world():
    fusion = made("contextual")
    representations, inputs = samples(videos=VIDEOS)
    part = {k: type(c)(c.vector[5:], c.states[5:], c.mask[5:]) for k, c in representations.items()}
    alone = type(inputs)(
        {k: v[5:] for k, v in inputs.values.items()},
        {k: v[5:] for k, v in inputs.masks.items()},
        inputs.video[5:],
        inputs.position[5:],
    )
    assert torch.allclose(fusion(representations, inputs)[5:], fusion(part, alone), atol=1e-6)


def test_padding_is_nobodys_neighbour():
    fusion = made("contextual")
    representations, inputs = samples(videos=[0, 0, 0, -1, -1, -1])
    plain, other = fusion(representations, inputs), fusion(moved(representations, "T", 3), inputs)
    assert torch.equal(plain[FIRST], other[FIRST])
    assert torch.equal(plain[4:], other[4:])
    assert torch.isfinite(plain).all()


def test_the_order_of_utterances_matters_and_that_of_the_batch_does_not():
    fusion = made("contextual")
    representations, inputs = samples(videos=[0] * 6)
    plain = fusion(representations, inputs)
    turned = inputs._replace(position=5 - inputs.position)
    assert not torch.allclose(plain, fusion(representations, turned), atol=1e-4)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    mixed = fusion(
        {k: type(c)(*(t[order] for t in c)) for k, c in representations.items()},
        inputs._replace(
            masks={k: m[order] for k, m in inputs.masks.items()}, position=inputs.position[order]
        ),
    )
    assert torch.allclose(mixed, plain[order], atol=1e-5)


def test_a_modality_that_an_utterance_lacks_is_looked_for_around_it():
    fusion = made("contextual")
    representations, inputs = without(*samples(videos=VIDEOS), "A", slice(1, 2))
    plain = fusion(representations, inputs)
    assert torch.equal(
        plain, fusion(moved(representations, "A", 1), inputs)
    )  # what stands in its place is not seen
    other = fusion(moved(representations, "A", 0), inputs)
    assert not torch.allclose(plain[1], other[1], atol=1e-4)


def test_an_utterance_drawn_twice_counts_once_among_the_neighbours():
    fusion = made("contextual")
    representations, inputs = samples(n=2, videos=[0, 0])
    twice = torch.tensor([0, 1, 1])
    codes3 = {k: type(c)(*(t[twice] for t in c)) for k, c in representations.items()}
    inputs3 = inputs._replace(
        masks={k: m[twice] for k, m in inputs.masks.items()},
        video=inputs.video[twice],
        position=inputs.position[twice],
    )
    one, _ = fusion.context(*_of(representations, inputs))
    two, _ = fusion.context(*_of(codes3, inputs3))
    assert torch.allclose(one[:, 0], two[:, 0], atol=1e-6)


def _of(representations, inputs):
    from annotate.learning.fusions._pieces import stacked
    from annotate.learning.fusions.contextual import same_video

    return *stacked(representations, inputs, "TAV"), same_video(inputs.video), inputs.position


def test_without_other_modalities_it_still_reads_the_video():
    widths = {"T": 5}
    fusion = made("contextual", widths=widths)
    representations, inputs = samples(videos=VIDEOS, widths=widths)
    plain = fusion(representations, inputs)
    assert plain.shape == (6, HIDDEN)
    assert not torch.allclose(plain[1], fusion(moved(representations, "T", 0), inputs)[1], atol=1e-4)


def test_pairwise_attention_multiplies_what_is_found_with_what_looked():
    """With one utterance, all attention is on itself: what is left of each pair is their product."""
    fusion = made("contextual", reach=0)
    representations, inputs = samples(n=1)
    vectors, present, same, position = _of(representations, inputs)
    context, known = fusion.context(vectors, present, same, position)
    found = fusion.pairwise(context, known, same)
    expected = [context[a] * context[b] for a, b in zip(fusion.targets, fusion.sources, strict=True)]
    assert torch.allclose(found, torch.stack(expected), atol=1e-6)
