"""Options of plug-ins: read from the settings, checked against the dataclass that the plug-in declares."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any

from annotate.errors import ConfigError
from annotate.protocols import NoOptions
from annotate.registry import Registry

LARGEST = 1e12
"""Upper bound of every numeric option; larger, negative and NaN values are rejected."""


def make_plugin(
    registry: Registry[Any], name: str, given: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]],
    table: str,
) -> Any:  # fmt: skip
    """Make the plug-in with `given` in place of its defaults.

    A strategy that wraps others (``wraps = True``) also gets `others`, the
    options of all strategies. Raises as `parse_options`.
    """
    plugin, options = registry.get(name), parse_options(registry, name, given, table)
    if plugin.Options is NoOptions:
        return plugin()
    return plugin(options, others) if getattr(plugin, "wraps", False) else plugin(options)


def parse_options(
    registry: Registry[Any], name: str, given: Mapping[str, Any], table: str = "train.options"
) -> Any:
    """The options of the plug-in: `given`, read from `table` of the settings, over its defaults.

    Raises `UnknownName` for the plug-in, `ConfigError` for an option that it does not have, that has another
    type, or that is out of bounds.
    """
    kind = registry.get(name).Options
    known = {field.name: field for field in fields(kind)}
    values = {}
    for key, value in given.items():
        if key not in known:
            close = get_close_matches(key, known, n=1)
            listed = ", ".join(known) or "none"
            raise ConfigError(
                f"the {registry.kind} {name!r} has no option {key!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"its options: {listed}",
            )
        default = known[key].default
        if default is not MISSING and not _fits(value, default):
            raise ConfigError(
                f"{table}.{name}.{key} has to be like {default!r}, not {value!r}",
                hint=f"change it in [{table}.{name}]",
            )
        if isinstance(value, int | float) and not 0 <= value <= LARGEST:
            raise ConfigError(
                f"{table}.{name}.{key} cannot be {value!r}",
                hint=f"change it in [{table}.{name}]: a number from 0 to {LARGEST:.0e}",
            )
        values[key] = type(default)(value) if default is not MISSING else value
    return kind(**values)


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, tuple):
        return isinstance(value, list | tuple)
    return isinstance(value, type(default))
