"""Options of plug-ins: read from the settings, checked against the dataclass that the plug-in declares."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Any

from annotate.errors import ConfigError
from annotate.registry import Registry

LARGEST = 1e12
"""Of any option: what is larger cannot be told from it, or is a slip. Below 0, or not a number, is none."""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Of a plug-in that has none."""


def made_with(
    registry: Registry[Any], name: str, given: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]],
    table: str,
) -> Any:  # fmt: skip
    """The plug-in with `given` in place of its defaults. One that stands on others (its class says
    ``stands = True``) takes the options of all besides.

    Raises as `options_of`.
    """
    made, options = registry.get(name), options_of(registry, name, given, table)
    if not hasattr(made, "Options"):
        return made()
    return made(options, others) if getattr(made, "stands", False) else made(options)


def options_of(
    registry: Registry[Any], name: str, given: Mapping[str, Any], table: str = "train.options"
) -> Any:
    """The plug-in's options with `given`, which stands in that table of the settings, in place of defaults.

    Raises `UnknownName` for the plug-in, `ConfigError` for an option it does not have, of another
    type, or out of all bounds.
    """
    kind: type = getattr(registry.get(name), "Options", NoOptions)
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
                hint=f"mend it in [{table}.{name}]",
            )
        if isinstance(value, int | float) and not 0 <= value <= LARGEST:
            raise ConfigError(
                f"{table}.{name}.{key} cannot be {value!r}",
                hint=f"mend it in [{table}.{name}]: a number from 0 to {LARGEST:.0e}",
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
