"""The interface of a fusion."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from annotate.learning._part import Part
from annotate.learning.tensors import Inputs, Representation


class Fusion(Part, nn.Module, ABC):
    """The representations of the modalities -> (n, hidden). Made with the row width of each modality (in the
    order of T, A, V; those without features are absent), `hidden`, `dropout` and options."""

    reads_states: ClassVar[bool] = False
    """Whether it reads the representations of single rows (`Representation.states`); only then are they
    computed behind the shared layer."""

    reads_rows: ClassVar[bool] = False
    """Whether it reads the features themselves (`Inputs.values`), which then cannot be token ids."""

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__()
        self.widths, self.hidden, self.dropout, self.options = dict(widths), hidden, dropout, options

    @abstractmethod
    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """(n, hidden). Any or all modalities of a sample may be missing (`inputs.present`); the filler of a
        missing one must not have an effect."""
