"""How a benchmark states its bars: a line each, a JSON file on request, exit code 1 when one is short."""

import argparse
import json
import operator
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMPARE: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    data = os.environ.get("ANNOTATE_DATA")
    parser.add_argument(
        "--data", type=Path, default=Path(data) if data else None, help="folder with real sets"
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, within 60 s on 2 cores")
    parser.add_argument("--json", type=Path, help="keep every figure here, with the machine's facts")
    return parser


class Bars:
    """Collects figures and verdicts."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}
        self.short: list[str] = []

    def bar(self, name: str, value: float, compare: str, limit: float) -> None:
        """Print the verdict on one figure."""
        ok = COMPARE[compare](value, limit)
        print(f"bar {name} {value:.4g} {compare} {limit:g} {'ok' if ok else 'SHORT'}")
        self.figures[name] = {"value": value, "limit": limit, "compare": compare, "ok": ok}
        if not ok:
            self.short.append(name)

    def long(self, name: str, why: str) -> None:
        """Say that a bar needs more than this run was given."""
        print(f"bar {name} long ({why})")

    def done(self, path: Path | None) -> int:
        """Write the JSON file if asked for; the exit code."""
        if path:
            machine = {"python": sys.version, "platform": platform.platform(), "cores": os.cpu_count()}
            path.write_text(json.dumps({"machine": machine, "figures": self.figures}, indent=2))
        return int(bool(self.short))
