"""Base for strategies that stand on the scores of another one, which keeps its own options."""

from collections.abc import Mapping
from typing import Any, ClassVar

from annotate.errors import ConfigError
from annotate.options import make_plugin
from annotate.registry import STRATEGIES
from annotate.types import Kind, Requirement
from strategies._scored import ScoredStrategy

AllOptions = Mapping[str, Mapping[str, Any]]
"""``[batch.options]``: by strategy, by option."""
NO_OPTIONS: AllOptions = {}


class WrapperStrategy:
    """Has the needs and kinds of the strategy that its option `by` names."""

    wraps: ClassVar[bool] = True
    """Made with the options of all strategies, besides its own."""
    Options: ClassVar[type]
    needs: frozenset[Requirement]
    kinds: frozenset[Kind] = frozenset(Kind)

    def __init__(self, options: Any = None, others: AllOptions = NO_OPTIONS) -> None:
        """Raises `UnknownName` or `ConfigError` for a strategy that does not score each sample, or whose own
        options are wrong."""
        self.options = options or self.Options()
        self.scored = _open_scored(self.options.by, others)
        self.inner = {self.options.by: self.scored}
        self.needs, self.kinds = self.scored.needs, self.scored.kinds


def opened(name: str, others: AllOptions = NO_OPTIONS) -> Any:
    """The strategy of that name with its own options. Raises `UnknownName`, and `ConfigError` for these."""
    return make_plugin(STRATEGIES, name, others.get(name, {}), others, "batch.options")


def _open_scored(name: str, others: AllOptions) -> ScoredStrategy:
    made = STRATEGIES.get(name)
    if not (isinstance(made, type) and issubclass(made, ScoredStrategy)):
        raise ConfigError(
            f"{name} chooses a whole batch, so nothing can be drawn by its scores",
            hint=f"one of {', '.join(_scored_names())}",
        )
    return opened(name, others)


def _scored_names() -> list[str]:
    """Of the strategies that score each sample on its own."""
    made: Mapping[str, Any] = {name: STRATEGIES.get(name) for name in STRATEGIES.names()}
    return [n for n, kind in made.items() if isinstance(kind, type) and issubclass(kind, ScoredStrategy)]
