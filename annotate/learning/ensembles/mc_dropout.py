"""Monte Carlo dropout: one network, run many times with dropout on."""

from dataclasses import dataclass
from typing import ClassVar

from annotate.errors import ConfigError
from annotate.learning.ensembles.base import Combination, Ensemble, EnsembleContext, Trained
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble


@dataclass(frozen=True, slots=True)
class McDropoutOptions:
    """Options of `mc-dropout`."""

    passes: int = 20
    """Number of passes."""

    def __post_init__(self) -> None:
        if not 1 <= self.passes <= 1_000:
            raise ConfigError(
                f"train.options.mc-dropout.passes cannot be {self.passes}",
                hint="choose 1 to 1000, such as 20",
            )


@ensemble("mc-dropout")
class McDropout(Ensemble):
    """One network, run many times with dropout switched on (Gal & Ghahramani 2016).

    With `dropout = 0` all passes agree.
    """

    Options: ClassVar[type] = McDropoutOptions

    def train(self, context: EnsembleContext) -> Trained:
        """Train a single network, whatever `train.members` is."""
        states, fitted = context.fit([member_seed(context.seed, 0)])
        return Trained(tuple(states), tuple(fitted), Combination(passes=self.options.passes))
