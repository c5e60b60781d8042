"""Base for strategies that use the scores of another strategy, which keeps its own options."""

from collections.abc import Mapping
from typing import Any, ClassVar

from annotate.errors import ConfigError
from annotate.options import make_plugin
from annotate.registry import STRATEGIES
from annotate.types import Kind, Requirement
from strategies._scored import ScoredStrategy

AllOptions = Mapping[str, Mapping[str, Any]]
"""``[batch.options]``: values by option, by strategy."""
NO_OPTIONS: AllOptions = {}


class WrapperStrategy:
    """Wraps the strategy that its option `by` names, and has the same needs and kinds."""

    wraps: ClassVar[bool] = True
    """It is made with the options of all strategies besides its own."""
    Options: ClassVar[type]
    needs: frozenset[Requirement]
    kinds: frozenset[Kind] = frozenset(Kind)

    def __init__(self, options: Any = None, others: AllOptions = NO_OPTIONS) -> None:
        """Raises `UnknownName` for an unknown strategy, `ConfigError` for one that does not score each sample
        or whose own options are wrong."""
        self.options = options or self.Options()
        scored = [name for name in STRATEGIES.names() if _is_scored(name)]
        if not _is_scored(self.options.by):
            raise ConfigError(
                f"{self.options.by} chooses whole batches and has no scores for single samples",
                hint=f"use one of {', '.join(scored)}",
            )
        self.scored: ScoredStrategy = make_inner(self.options.by, others)
        self.inner = {self.options.by: self.scored}
        self.needs, self.kinds = self.scored.needs, self.scored.kinds


def make_inner(name: str, others: AllOptions = NO_OPTIONS) -> Any:
    """The strategy of that name with its own options. Raises `UnknownName`, or `ConfigError` for an
    option."""
    return make_plugin(STRATEGIES, name, others.get(name, {}), others, "batch.options")


def _is_scored(name: str) -> bool:
    plugin = STRATEGIES.get(name)
    return isinstance(plugin, type) and issubclass(plugin, ScoredStrategy)
