"""What a fusion is."""

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
    """Whether it looks at the representations of single rows (`Representation.states`); they are not shared
    for nothing."""

    reads_rows: ClassVar[bool] = False
    """Whether it looks at the rows themselves (`Inputs.values`): they cannot be token ids then."""

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__()
        self.widths, self.hidden, self.dropout, self.options = dict(widths), hidden, dropout, options

    @abstractmethod
    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """(n, hidden). Any modality of any sample may be missing, all of them too (`inputs.present`):
        what stands in a missing one's place must not be seen."""
