"""What every plug-in of the network has in common."""

from typing import ClassVar

from annotate.protocols import NoOptions


class Part:
    """Base of the families; a plug-in says here what the rest of the program must know about it."""

    Options: ClassVar[type] = NoOptions
    """A frozen dataclass; every field has a default, and its docstring is the option's help."""
    vectorised: ClassVar[bool] = True
    """Whether `torch.vmap` can run it: no branch and no shape that depends on numbers in tensors."""
    needs_context: ClassVar[bool] = False
    """Whether it looks at the other utterances of a sample's video: batches are then made of whole videos."""

    def rate(self, name: str) -> float:
        """By what the learning rate of its parameter `name` is multiplied."""
        return 1.0
