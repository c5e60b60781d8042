"""Base class of the plug-ins of the network."""

from typing import ClassVar

from annotate.protocols import NoOptions


class Part:
    """Properties of a plug-in that the rest of the program needs to know."""

    Options: ClassVar[type] = NoOptions
    """A frozen dataclass; every field has a default, and its docstring is the option's help."""
    vectorised: ClassVar[bool] = True
    """Whether `torch.vmap` can run it: no branch and no shape depends on values in tensors."""
    needs_context: ClassVar[bool] = False
    """Whether it reads the other utterances of a sample's video; batches then consist of whole videos."""

    def rate(self, name: str) -> float:
        """Factor of the learning rate for its parameter `name`."""
        return 1.0
