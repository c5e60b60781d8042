"""What travels between the parts of the network; named tuples, so that `torch.vmap` sees through them.

Keys are short strings: a modality's key (``T``, ``A``, ``V``, ``M``) or a task's id.
"""

from typing import NamedTuple

from torch import Tensor


class Inputs(NamedTuple):
    """n samples as the network reads them. Where members stand in front, every shape has one axis more."""

    values: dict[str, Tensor]
    """By modality: (n, rows, width) as its encoder condensed them, standardised; zeros where nothing is."""
    masks: dict[str, Tensor]
    """By modality: (n, rows) True where a row is; all False: the modality is missing."""
    video: Tensor
    """(n,) integers: samples of the same video have the same one. Negative: padding, nobody's neighbour."""
    position: Tensor
    """(n,) integers: the place of the utterance in its video, counted from 0 among the samples at hand."""

    def present(self, modality: str) -> Tensor:
        """(n, 1) of 1.0 and 0.0: whether the modality is there at all."""
        return self.masks[modality].any(dim=-1, keepdim=True).to(self.values[modality].dtype)

    def frames(self, modality: str) -> "Frames":
        """What the encoder of one modality sees."""
        return Frames(self.values[modality], self.masks[modality], self.video, self.position)


class Frames(NamedTuple):
    """One modality of n samples."""

    values: Tensor
    """(n, rows, width)"""
    mask: Tensor
    """(n, rows)"""
    video: Tensor
    position: Tensor
    """(n,) both, as in `Inputs`."""


class Representation(NamedTuple):
    """What an encoder made of one modality of n samples; zeros where the modality is missing."""

    vector: Tensor
    """(n, hidden)"""
    states: Tensor
    """(n, rows, hidden) one representation per row of time, for fusions that look at them; may be the vector
    alone."""
    mask: Tensor
    """(n, rows) True where a state is."""


class Shared(NamedTuple):
    """What a sharing makes of n samples."""

    representations: dict[str, Tensor]
    """By task id: (n, hidden), what the task's head reads."""
    fused: Tensor
    """(n, hidden) the representation of all modalities together: what distances between samples are measured
    in."""
    penalty: Tensor
    """() what the sharing adds to the loss; zero for most."""


class Output(NamedTuple):
    """What the network says about n samples."""

    heads: dict[str, Tensor]
    """By task id: (n, outputs), raw; what it means is said by the task's head."""
    fused: Tensor
    """(n, hidden)"""
    penalty: Tensor
    """()"""
    representations: dict[str, Tensor]
    """By task id: (n, hidden) what its head reads; empty unless `MultiTaskNet.returns_representations`."""
