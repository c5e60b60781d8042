"""Runs as a process of its own: searches file names for a regular expression, with a limit on CPU time.

``python -I -S match_names.py`` reads ``{"pattern", "group", "seconds", "names"}`` as JSON from stdin, with a
list of alternatives per file in `names`. It writes one line of JSON: ``{"matches": [...]}`` with the text of
the group for each file (empty without a match), or ``{"slow": POSITION}`` of the file that used up the time.
"""

import json
import re
import signal
import sys
from typing import Any


class OutOfTime(Exception):
    """The search took longer than its CPU time allows."""


def main() -> None:
    """Search all names. Python's matcher handles signals while it backtracks, so a timer can stop it."""

    def stop(number: int, frame: Any) -> None:
        raise OutOfTime

    request = json.load(sys.stdin)
    pattern, group = re.compile(request["pattern"]), request["group"]
    signal.signal(signal.SIGVTALRM, stop)
    # CPU time of this process, not elapsed time: a busy machine must not make a good expression fail.
    signal.setitimer(signal.ITIMER_VIRTUAL, request["seconds"])
    matches: list[str] = []
    try:
        for names in request["names"]:
            texts = (match[group] for name in names if (match := pattern.search(name)))
            matches.append(next(filter(None, texts), ""))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        print(json.dumps({"matches": matches}))
    except OutOfTime:
        print(json.dumps({"slow": len(matches)}))


if __name__ == "__main__":
    main()
