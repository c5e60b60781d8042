"""Variants of `[train]` by name or by changed key, as `annotate compare --variants` reads them."""

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from annotate.config.baselines import PRESETS, Changes, merge
from annotate.errors import UsageError

SINGLE_TASK, PRESENT, DEFAULT, NO_UNIMODAL = "single-task", "present", "default", "no-unimodal-labels"
ALWAYS = (PRESENT, SINGLE_TASK, NO_UNIMODAL)
"""Variants that always take part: the present settings and two controls."""
SHORTLIST = ("present", "default", "sharing=cross-stitch", "fusion=gated", "weighting=uncertainty")
"""Variants that are compared by default."""

_NAMED: Mapping[str, Changes] = {
    PRESENT: {},
    SINGLE_TASK: {"sharing": "none"},
    NO_UNIMODAL: {"unimodal_labels": False},
    **PRESETS,
}
_NO_VARIANTS: Mapping[str, str] = {
    "preset": f"name it alone: {', '.join(PRESETS)}",
    "device": "say --device, which is that of all variants",
    "tensorboard": "it logs what `annotate train` does",
}
"""Keys of `[train]` that cannot be a variant, each with what to type instead."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A change to the settings of `[train]`."""

    name: str
    changes: Changes
    from_default: bool = False
    """Whether the changes apply to the defaults instead of the present settings."""
    apart: bool = False
    """Whether nothing may be shared between tasks, not even by an option (see `unshared`)."""


def read_variants(text: str) -> tuple[Variant, ...]:
    """The variants in ``a,b=c,d=e+f=g``, each once, then those that always take part.

    Raises `UsageError` for an invalid variant.
    """
    names = []
    for name in re.split(r",(?![^\[]*\])", text):  # commas outside of lists
        if name.strip():
            sides = [[side.strip() for side in part.split("=", 1)] for part in name.split("+")]
            names.append("+".join(map("=".join, sides)))
    return tuple(_variant(name) for name in dict.fromkeys((*names, *ALWAYS)))


def _variant(name: str) -> Variant:
    """A variant from ``NAME`` or ``KEY=VALUE``, several joined by ``+``; keys of options contain dots."""
    changes: dict[str, Any] = {}
    parts = name.split("+")
    for part in parts:
        changes = merge(_changes(part), changes)
    return Variant(name, changes, from_default=DEFAULT in parts, apart=SINGLE_TASK in parts)


def _changes(part: str) -> Changes:
    key, equals, value = part.partition("=")
    if key in _NO_VARIANTS and equals:
        raise UsageError(f"{part!r} cannot be a variant", hint=_NO_VARIANTS[key])
    if equals and key:
        changes: Any = value  # a bare word needs no quotes
        with suppress(tomllib.TOMLDecodeError):
            changes = tomllib.loads(f"value = {value}")["value"]
        for name in reversed(key.split(".")):
            changes = {name: changes}
        return dict(changes)
    if part != DEFAULT and part not in _NAMED:
        known = ", ".join((*_NAMED, DEFAULT))
        raise UsageError(f"no variant is called {part!r}", hint=f"known: {known}; or KEY=VALUE of [train]")
    return _NAMED.get(part, {})


def unshared(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The options with every `shared` switched off, so that tasks share no part of an encoder."""
    return {
        name: {key: False if key == "shared" else value for key, value in values.items()}
        for name, values in options.items()
    }
