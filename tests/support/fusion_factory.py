"""Codes of made-up samples, and fusions of them, for the tests of single fusions."""

import torch

from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.options import parse_options
from annotate.registry import FUSIONS

WIDTHS = {"T": 5, "A": 4, "V": 3}
HIDDEN = 8


def made(name: str, seed: int = 0, widths=WIDTHS, hidden: int = HIDDEN, **options) -> Fusion:
    """A new fusion in evaluation mode."""
    torch.manual_seed(seed)
    fusion = FUSIONS.get(name)(widths, hidden, 0.0, parse_options(FUSIONS, name, options))
    return fusion.eval()


def samples(n: int = 6, rows=(3, 5, 4), videos=None, seed: int = 1, widths=WIDTHS, hidden: int = HIDDEN):
    """(representations, inputs): n samples with that many rows by modality; `videos` as in `Inputs.video`."""
    torch.manual_seed(seed)
    lengths = dict(zip(widths, rows, strict=False))
    video = torch.tensor(videos if videos is not None else list(range(n)))
    position = torch.tensor([int((video[:i] == video[i]).sum()) for i in range(n)])
    inputs = Inputs(
        {key: torch.randn(n, lengths[key], width) for key, width in widths.items()},
        {key: torch.ones(n, lengths[key], dtype=torch.bool) for key in widths},
        video,
        position,
    )
    representations = {
        key: Representation(torch.randn(n, hidden), torch.randn(n, lengths[key], hidden), inputs.masks[key])
        for key in widths
    }
    return representations, inputs


def without(representations, inputs: Inputs, key: str, rows: slice = slice(None)):
    """The same, with a modality missing from `rows`; filler stands in its place."""
    mask = inputs.masks[key].clone()
    mask[rows] = False
    values = inputs.values[key].clone()
    values[rows] = 9.0
    vector, states = representations[key].vector.clone(), representations[key].states.clone()
    vector[rows], states[rows] = 7.0, 7.0
    gone = inputs._replace(masks={**inputs.masks, key: mask}, values={**inputs.values, key: values})
    return {**representations, key: Representation(vector, states, mask)}, gone


def changed(representations, key: str, **parts):
    """The same representations, with parts of one modality's in place."""
    return {**representations, key: representations[key]._replace(**parts)}


def parameters(fusion: Fusion) -> int:
    """How many numbers it learns."""
    return sum(p.numel() for p in fusion.parameters())
