"""What the rules say about measured samples: judged when they are cut, and again when the rules change."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

from annotate.config import Settings
from annotate.registry import CHECKS
from annotate.types import Rule, Verdict


class Rules:
    """The rules of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Raises `UnknownName` for a rule about a check that does not exist."""
        self.by_check = settings.rules()
        for name in self.by_check:
            CHECKS.get(name)
        said = json.dumps({name: asdict(rule) for name, rule in self.by_check.items()}, sort_keys=True)
        self.hash = hashlib.sha256(said.encode()).hexdigest()[:16]

    def judge(self, measures: Mapping[str, float | str | None]) -> list[Verdict]:
        """One verdict per measured fact, sorted by check."""
        return [
            judge(name, value, self.by_check.get(name, Rule())) for name, value in sorted(measures.items())
        ]


def judge(name: str, value: float | str | None, rule: Rule) -> Verdict:
    """Whether a measured value keeps to a rule; what could not be told passes."""
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
