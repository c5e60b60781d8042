"""Variants of `[train]` by name or by changed key, as `annotate compare --variants` reads them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotate.config.baselines import PRESETS, Changes, merge
from annotate.errors import UsageError

SINGLE_TASK, PRESENT, DEFAULT, NO_UNIMODAL = "single-task", "present", "default", "no-unimodal-labels"
ALWAYS = (PRESENT, SINGLE_TASK, NO_UNIMODAL)
"""Whatever else is compared: what is, what nothing shared gives, and what labels of one modality bring."""
SHORTLIST = ("present", "default", "sharing=cross-stitch", "fusion=gated", "weighting=uncertainty")
"""Tried where nobody chose."""

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
"""Keys of `[train]` that decide nothing about the model, or more than themselves; what to type instead."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to train."""

    name: str
    changes: Changes
    from_default: bool = False
    """The changes are to the defaults, not to the present settings."""
    apart: bool = False
    """Nothing is shared, by no option either (see `unshared`)."""


def read_variants(text: str) -> tuple[Variant, ...]:
    """Those that stand in ``a,b=c,d=e+f=g``, each once, and behind them those that always take part.

    Raises `UsageError` for one that cannot be read.
    """
    outside_of_lists = re.split(r",(?![^\[]*\])", text)
    names = [_tidy(name) for name in outside_of_lists if name.strip()]
    return tuple(_variant(name) for name in dict.fromkeys((*names, *ALWAYS)))


def _tidy(name: str) -> str:
    """Without blanks around its parts: one variant has one name."""
    return "+".join("=".join(side.strip() for side in part.split("=", 1)) for part in name.split("+"))


def _variant(name: str) -> Variant:
    """``NAME`` or ``KEY=VALUE``, several of them joined by ``+``; keys of options with dots between."""
    changes: dict[str, Any] = {}
    parts = name.split("+")
    for part in parts:
        changes = merge(_changes(part), changes)
    return Variant(name, changes, from_default=DEFAULT in parts, apart=SINGLE_TASK in parts)


def _changes(part: str) -> Changes:
    key, equals, value = part.partition("=")
    if key in _NO_VARIANTS and equals:
        raise UsageError(f"{part!r} is no variant", hint=_NO_VARIANTS[key])
    if equals and key:
        return _nested(key, _value(value))
    if part != DEFAULT and part not in _NAMED:
        known = ", ".join((*_NAMED, DEFAULT))
        raise UsageError(f"no variant is called {part!r}", hint=f"known: {known}; or KEY=VALUE of [train]")
    return _NAMED.get(part, {})


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _value(text: str) -> Any:
    """As TOML would read it; a word needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def unshared(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Options of plug-ins, of which none says any more that all tasks share something of an encoder."""
    return {
        name: {key: False if key == "shared" else value for key, value in values.items()}
        for name, values in options.items()
    }
