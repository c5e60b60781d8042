"""Run as a process of its own: searches names for a regular expression, for a limited time of a processor.

``python -I -S _match_names.py`` reads ``{"pattern", "group", "seconds", "names"}`` as JSON from stdin, with a
list of alternatives per file in `names`. It writes one line of JSON: ``{"found": [...]}`` with what the group
holds for each file (empty where nothing does), or ``{"slow": POSITION}`` of the file where the time was up.
"""

import json
import re
import signal
import sys
from collections.abc import Sequence
from typing import Any


class OutOfTime(Exception):
    """The expression took all its time."""


def main() -> None:
    """Search all names; Python's own matcher looks for signals while it backtracks."""
    asked = json.load(sys.stdin)
    pattern, group = re.compile(asked["pattern"]), asked["group"]
    signal.signal(signal.SIGVTALRM, _stop)
    # Of this processor alone: a busy machine must not make a good expression fail.
    signal.setitimer(signal.ITIMER_VIRTUAL, asked["seconds"])
    found: list[str] = []
    try:
        for names in asked["names"]:
            found.append(_first(pattern, group, names))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        print(json.dumps({"found": found}))
    except OutOfTime:
        print(json.dumps({"slow": len(found)}))


def _first(pattern: re.Pattern[str], group: str, names: Sequence[str]) -> str:
    for name in names:
        match = pattern.search(name)
        if match and match[group]:
            return match[group]
    return ""


def _stop(number: int, frame: Any) -> None:
    raise OutOfTime


if __name__ == "__main__":
    main()
