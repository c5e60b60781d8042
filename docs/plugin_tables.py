"""Writes the tables of plug-ins in the pages of this folder; `make plugin-tables` runs it.

A table lies between `<!-- plug-ins: KIND -->` and `<!-- end of plug-ins -->`, KIND as in `annotate list`.
Rows come from the first lines of the class docstrings; the rest of each docstring follows below the table.
"""

import inspect
import re
from pathlib import Path
from typing import Any

from annotate.registry import ALL, STRATEGIES, Registry
from annotate.types import Requirement

PAGES = Path(__file__).parent
BLOCK = re.compile(r"(<!-- plug-ins: (.+?) -->\n).*?(<!-- end of plug-ins -->)", re.DOTALL)
SOURCE = re.compile(r"^(.*) \(([^()]*(?:\d{4}|chapter)[^()]*)\)\.$")


def with_tables(page: str) -> str:
    """The text of a page with all its plug-in tables made anew."""
    kinds = {registry.kind: registry for registry in ALL}
    return BLOCK.sub(lambda found: found[1] + _block(kinds[found[2]]) + found[3], page)


def _block(registry: Registry[Any]) -> str:
    rows, details = [], []
    for name in registry.names():
        first, _, rest = (inspect.getdoc(registry.get(name)) or "").partition("\n")
        split = SOURCE.match(first)
        text, source = (split[1] + ".", split[2]) if split else (first, "")
        needs_model = [_needs_model(registry.get(name))] if registry is STRATEGIES else []
        cells = [f"`{name}`", text, *needs_model, source]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        if rest.strip():
            details.append(f"- **`{name}`** {' '.join(rest.split())}\n")
    header = ["name", "what it does", *(["needs a model"] if registry is STRATEGIES else []), "source"]
    table = [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *rows]
    return "\n".join(table) + "\n" + ("\n" + "".join(details) if details else "")


def _needs_model(strategy: Any) -> str:
    if getattr(strategy, "stands", False) and not hasattr(strategy, "needs"):
        return "depends"
    return "yes" if Requirement.MODEL in strategy.needs else "no"


if __name__ == "__main__":
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (written := with_tables(page)) != page:
            path.write_text(written, encoding="utf-8")
