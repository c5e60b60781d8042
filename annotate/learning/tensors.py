"""Inputs and outputs of the parts of the network; named tuples, which `torch.vmap` can traverse.

Keys are short strings: a modality's key (``T``, ``A``, ``V``, ``M``) or a task's id.
"""

from typing import NamedTuple

from torch import Tensor


class Inputs(NamedTuple):
    """Inputs of the network for n samples; with several members, every shape has a leading member axis."""

    values: dict[str, Tensor]
    """By modality: (n, rows, width) pooled and standardised frames; zeros where masked."""
    masks: dict[str, Tensor]
    """By modality: (n, rows) True for real rows; all False: the modality is missing."""
    video: Tensor
    """(n,) index of the video of each sample; negative: padding."""
    position: Tensor
    """(n,) position of the utterance in its video, from 0, among these samples."""

    def present(self, modality: str) -> Tensor:
        """(n, 1) 1.0 if the modality is present, else 0.0."""
        return self.masks[modality].any(dim=-1, keepdim=True).to(self.values[modality].dtype)

    def frames(self, modality: str) -> "Frames":
        """The input of the encoder of one modality."""
        return Frames(self.values[modality], self.masks[modality], self.video, self.position)


class Frames(NamedTuple):
    """One modality of n samples, the input of an encoder."""

    values: Tensor
    """(n, rows, width)"""
    mask: Tensor
    """(n, rows)"""
    video: Tensor
    position: Tensor
    """(n,) both, as in `Inputs`."""


class Representation(NamedTuple):
    """Output of an encoder for one modality of n samples; zeros where the modality is missing."""

    vector: Tensor
    """(n, hidden)"""
    states: Tensor
    """(n, rows, hidden) one representation per row, for fusions that read them; may be the vector alone."""
    mask: Tensor
    """(n, rows) True for real states."""


class Shared(NamedTuple):
    """Output of a sharing for n samples."""

    representations: dict[str, Tensor]
    """By task id: (n, hidden) input of the task's head."""
    fused: Tensor
    """(n, hidden) fused representation of all modalities, for distances between samples."""
    penalty: Tensor
    """() penalty of the sharing that is added to the loss; zero for most."""


class Output(NamedTuple):
    """Output of the network for n samples."""

    heads: dict[str, Tensor]
    """By task id: (n, outputs) raw outputs, which the task's head interprets."""
    fused: Tensor
    """(n, hidden)"""
    penalty: Tensor
    """()"""
    representations: dict[str, Tensor]
    """By task id: (n, hidden) input of its head; empty unless `MultiTaskNet.returns_representations`."""
