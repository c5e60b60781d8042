"""Writes the tables of plug-ins in the pages of this folder; `make plugin-tables` runs it.

A table lies between `<!-- plug-ins: KIND -->` and `<!-- end of plug-ins -->`, KIND as in `annotate list`.
A row shows the first line of the class docstring. The list below the table holds the rest of each docstring,
without a paragraph that begins with `Implementation notes:`, and the plug-in's options with their defaults
and attribute docstrings.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from annotate.config.sections import FeatureSettings, TrainSettings
from annotate.registry import ALL, Registry
from annotate.types import Requirement

PAGES = Path(__file__).parent
BLOCK = re.compile(r"(<!-- plug-ins: (.+?) -->\n).*?(<!-- end of plug-ins -->)", re.DOTALL)
SOURCE = re.compile(r"^(.*) \(([^()]*(?:\d{4}|chapter)[^()]*)\)\.$")
SHARED_OPTIONS = ("combine",)
"""Options that many plug-ins have; the page explains them once."""


def with_tables(page: str) -> str:
    """The text of a page with all its plug-in tables made anew."""
    kinds = {registry.kind: registry for registry in ALL}
    return BLOCK.sub(lambda match: match[1] + _block(kinds[match[2]]) + match[3], page)


def _block(registry: Registry[Any]) -> str:
    plugins = {name: registry.get(name) for name in registry.names()}
    columns = COLUMNS.get(registry.kind, {})
    rows, details = [], []
    for name, plugin in plugins.items():
        first, _, rest = (inspect.getdoc(plugin) or "").partition("\n")
        match = SOURCE.match(first)
        text, source = (f"{match[1]}.", match[2]) if match else (first, "")
        shown = f"`{name}` (default)" if name in DEFAULTS.get(registry.kind, ()) else f"`{name}`"
        rows.append([shown, text, *(column(plugin) for column in columns.values()), source])
        notes = " ".join(rest.partition("Implementation notes:")[0].split())
        options = [f"  - {option}\n" for option in _options(plugin)]
        if notes or options:
            details += [f"- **`{name}`** {notes}".rstrip() + "\n", *options]
    header = ["name", "what it does", *columns, "source"]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    table = [_row(header), "|---" * len(header) + "|", *map(_row, rows)]
    return "\n".join(table) + "\n" + ("\n" + "".join(details) if details else "")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _options(plugin: Any) -> Iterator[str]:
    """Name, default as in TOML, and description of each option.

    Options without an attribute docstring share that of the next option, if their defaults are equal.
    """
    described = _attribute_docs(plugin.Options)
    names: list[str] = []
    for field in fields(plugin.Options):
        if field.name in SHARED_OPTIONS:
            continue
        names.append(f"`{field.name}`")
        if field.name in described:
            yield f"{', '.join(names)} = `{json.dumps(field.default)}`: {described[field.name]}"
            names = []
    if names:
        raise ValueError(f"{plugin.Options.__name__} does not describe {', '.join(names)}")


def _attribute_docs(options: type) -> dict[str, str]:
    """The docstrings below the attributes of a dataclass, each as one line."""
    if not fields(options):  # type: ignore[arg-type]
        return {}
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(options))).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        field.target.id: " ".join(doc.value.value.split())
        for field, doc in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }


def _needs_model(strategy: Any) -> str:
    if getattr(strategy, "wraps", False) and not hasattr(strategy, "needs"):
        return "depends"
    return "yes" if Requirement.MODEL in strategy.needs else "no"


def _size(extractor: Any) -> str:
    return str(extractor.dim) if isinstance(getattr(extractor, "dim", None), int) else "of the model"


COLUMNS: dict[str, dict[str, Callable[[Any], str]]] = {
    "query strategy": {"needs a model": _needs_model},
    "extractor": {"modality": lambda extractor: str(extractor.modality), "numbers per row": _size},
    "check": {"unit": lambda check: check.unit or "word"},
    "head": {"for": lambda head: str(head.kind)},
    "aggregator": {"for": lambda aggregator: ", ".join(sorted(map(str, aggregator.kinds)))},
}
"""Further columns by kind of plug-in: heading, and text of the cell for a class."""

_train = TrainSettings()
DEFAULTS = {
    "extractor": tuple(FeatureSettings().model_dump().values()),
    "encoder": (_train.encoder,),
    "sharing": (_train.sharing,),
    "fusion": (_train.fusion,),
    "weighting": (_train.weighting,),
    "head": (_train.regression_head, _train.classification_head, _train.multilabel_head),
    "ensemble": (_train.ensemble,),
}
"""Names that the settings choose unless a project says otherwise."""


if __name__ == "__main__":
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (written := with_tables(page)) != page:
            path.write_text(written, encoding="utf-8")
