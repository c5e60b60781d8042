"""Judges measured samples by the rules of the settings: when they are cut, and when the rules change."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict

from annotate.config.settings import Settings
from annotate.corpus.duplicates import judge_duplicates
from annotate.errors import ConfigError
from annotate.registry import CHECKS
from annotate.types import Rule, Verdict
from annotate.wording import counted, either
from db import checks
from db.chunks import chunks
from db.engine import Session
from db.videos import add_event

_RANGES = {"share": (0.0, 1.0), "correlation": (-1.0, 1.0)}
"""Range of the measurements by unit; limits outside, such as percentages, would accept everything or
nothing."""


class Rules:
    """The rules of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Raises `UnknownName` for a rule about an unknown check, and `ConfigError` for limits that do not
        fit the check."""
        self.by_check = settings.rules()
        for name, rule in self.by_check.items():
            _require_fit(name, rule)
        self.repeats = settings.repeats
        settings_of = {name: asdict(rule) for name, rule in self.by_check.items()}
        serialized = json.dumps([settings_of, settings.repeats.model_dump()], sort_keys=True)
        self.hash = hashlib.sha256(serialized.encode()).hexdigest()[:16]
        self.hash_before_settling = f"{self.hash}?"
        """Marks videos whose samples were judged one by one, but not yet compared with those of others."""

    def judge(self, measures: Mapping[str, float | str | None]) -> list[Verdict]:
        """One verdict per measurement, sorted by check."""
        return [
            judge(name, value, self.by_check[name]) if name in self.by_check else Verdict(name, value, True)
            for name, value in sorted(measures.items())
        ]


def rejudge(session: Session, rules: Rules) -> list[str]:
    """Judge again, from the stored measurements, the samples that were judged by other rules.

    Returns a warning for each rule that passes samples only because they lack a measurement.
    """
    done = (rules.hash, rules.hash_before_settling)
    stale = checks.judged_by_others(session, *done)
    for some in chunks(stale):
        known = list(checks.in_question(session, some, rules.by_check))
        judged = [(sample, before, rules.judge({before.name: before.value})[0]) for sample, before in known]
        checks.change_verdicts(session, [(sample, now) for sample, before, now in judged if now != before])
        checks.mark_judged(session, some, rules.hash_before_settling)
    if stale:
        add_event(session, "judged", {"videos": len(stale)})
    missing = checks.unmeasured(session, rules.by_check) if stale else {}
    return [
        f"{counted(count, 'sample')} {either(count, 'passes', 'pass')} the rule about {name} only "
        f"because {either(count, 'it was', 'they were')} cut before this could be measured: "
        f"`annotate ingest` {either(count, 'its video', 'their videos')} again"
        for name, count in missing.items()
    ]


def settle_duplicates(session: Session, rules: Rules, *, moved: bool) -> None:
    """Compare samples with those of other videos, if any is new, was judged anew or got its split
    (`moved`)."""
    pending = checks.judged_by_others(session, rules.hash)
    if pending or moved:
        judge_duplicates(session, rules.repeats)
    for some in chunks(pending):
        checks.mark_judged(session, some, rules.hash)


def _require_fit(name: str, rule: Rule) -> None:
    check = CHECKS.get(name)()
    if rule.allow and check.unit:
        raise ConfigError(
            f"checks.{name} has `allow`, which is for words, but {name} is a number ({check.unit})",
            hint=f"say for example {name} = {{ min = 0.5 }} in annotate.toml",
        )
    if not check.unit and (rule.min is not None or rule.max is not None):
        raise ConfigError(
            f"checks.{name} has `min` or `max`, which are for numbers, but {name} is a word",
            hint=f'say for example {name} = {{ allow = ["en", "und"] }} in annotate.toml',
        )
    lowest, highest = _RANGES.get(check.unit, (-math.inf, math.inf))
    for limit in (rule.min, rule.max):
        if limit is not None and not lowest <= limit <= highest:
            raise ConfigError(
                f"checks.{name} says {limit:g}, but {name} is a {check.unit}, from {lowest:g} to {highest:g}",
                hint=f"say for example {name} = {{ min = 0.5 }} in annotate.toml",
            )


def judge(name: str, value: float | str | None, rule: Rule) -> Verdict:
    """The verdict of a rule on a measurement; a missing value passes."""
    check = CHECKS.get(name)()
    why = ""
    if isinstance(value, str):
        if rule.allow and value not in rule.allow:
            why = f"{check.high}: {value}, not {' or '.join(rule.allow)}"
    elif value is not None:
        if rule.min is not None and value < rule.min:
            why = f"{check.low}: {value:g} < {rule.min:g} {check.unit}"
        elif rule.max is not None and value > rule.max:
            why = f"{check.high}: {value:g} > {rule.max:g} {check.unit}"
    return Verdict(name, value, not why, why.strip())
