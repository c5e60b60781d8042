"""Makes query strategies from their names: ``NAME``, or ``NAME:INNER`` for one that wraps another."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, cast

from annotate.errors import ConfigError
from annotate.options import make_plugin
from annotate.project import Project
from annotate.protocols import QueryStrategy
from annotate.registry import STRATEGIES

Options = Mapping[str, Mapping[str, Any]]
"""``[batch.options]``: by strategy, by option."""


def make_strategy(text: str, options: Options | None = None) -> QueryStrategy:
    """The strategy called `text`; what follows a colon is its first option: ``power:bald``.

    One that wraps another (its class says ``wraps = True``) is given the options of all to hand on.

    Raises `UnknownName` for the name, `ConfigError` for an option.
    """
    name, colon, first = text.partition(":")
    given = dict((options or {}).get(name, {}))
    if colon:
        options_of_plugin = fields(STRATEGIES.get(name).Options)
        if not options_of_plugin or not isinstance(options_of_plugin[0].default, str):
            raise ConfigError(
                f"the query strategy {name!r} wraps no other, so nothing can follow a colon",
                hint=f"--strategy {name}",
            )
        given[options_of_plugin[0].name] = first
    return cast(QueryStrategy, make_plugin(STRATEGIES, name, given, options or {}, "batch.options"))


def settings_of(strategy: QueryStrategy) -> dict[str, Any]:
    """Its options, defaults included, and those of the strategies that it wraps (``inner``, by name): what
    decides, beside the pool, what it chooses."""
    options = strategy.options
    # A strategy of somebody else may use these names for something of its own, unless it says that it wraps.
    wrapped = strategy.inner if getattr(strategy, "wraps", False) else {}
    inner = {name: settings_of(other) for name, other in sorted(wrapped.items())}
    plain = asdict(options) if is_dataclass(options) and not isinstance(options, type) else {}
    return {"options": plain, "on": inner}


def require_usable(project: Project, strategy: str) -> None:
    """Raises `UnknownName` for a strategy or that of a cold start, `ConfigError` where it needs a model."""
    batch = project.settings.batch
    make_strategy(strategy, batch.options)
    cold_start = batch.cold_start
    if make_strategy(cold_start, batch.options).needs:
        fitting = [name for name in STRATEGIES.names() if not make_strategy(name).needs]
        raise ConfigError(
            f"batch.cold_start is {cold_start!r}, which needs a model",
            hint=f"use one of {', '.join(fitting)}",
        )
