"""The documentation tells the truth: commands, settings with their defaults, and links are what they say."""

import os
import re
import runpy
import subprocess
import sys
import tomllib

import pytest
import typer.main
from pydantic import SecretStr

import cli  # noqa: TID251 - the help texts are what is tested
from annotate.config.sections import DimensionSettings, RuleSettings
from annotate.config.settings import Settings
from annotate.registry import (
    AGGREGATORS,
    ALL,
    CHECKS,
    EXECUTORS,
    EXPORTERS,
    EXTRACTORS,
    LEARNING,
    SEGMENTERS,
    STRATEGIES,
    TRANSCRIBERS,
)
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs" / "img" / "ATTRIBUTION.md"]
LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)")


OF_ALL = ("help", "as_json", "project", "verbose", "quiet")
"""Options of every command, which the reference names once."""


def commands():
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        yield from (
            ((f"{name} {sub}", c) for sub, c in command.commands.items())
            if hasattr(command, "commands")
            else ((name, command),)
        )


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda c: c if isinstance(c, str) else "")
def test_every_command_has_help_an_example_and_its_lines_in_readme_and_reference(name, command):
    assert f"Example: annotate {name}" in command.help
    assert f"annotate {name}" in README
    assert f"| `annotate {name}" in REFERENCE
    for parameter in command.params:
        assert getattr(parameter, "help", "--help") or parameter.name == "help", parameter.name


def test_the_readme_never_names_the_other_project_called_annotate():
    assert "pip install annotate\n" not in README
    assert "pip install annotate " not in README


def settings():
    for section, part in Settings.model_fields.items():
        if section in ("dimensions", "checks"):
            continue
        for key in part.default.__class__.model_fields:
            yield f"{section}.{key}", getattr(part.default, key)


@pytest.mark.parametrize(("key", "default"), list(settings()), ids=lambda v: v if isinstance(v, str) else "")
def test_the_reference_has_every_settings_key_with_its_default(key, default):
    row = re.search(rf"^\| `{re.escape(key)}` \| (?:`([^`]*)`)?.*\|.*\|$", REFERENCE, re.MULTILINE)
    assert row, key
    if not isinstance(default, SecretStr):
        shown = tomllib.loads(f"value = {row[1]}")["value"]
        assert shown == (list(default) if isinstance(default, tuple) else default)


def test_the_reference_has_every_key_of_a_dimension():
    for key in DimensionSettings.model_fields:
        assert f"| `dimensions.{key}` |" in REFERENCE


def test_the_reference_has_every_key_of_a_rule_and_the_ingest_page_every_check():
    for key in RuleSettings.model_fields:
        assert f"| `checks.NAME.{key}` |" in REFERENCE
    page = (ROOT / "docs" / "ingest.md").read_text(encoding="utf-8")
    for name in CHECKS.names():
        assert f"| `{name}` |" in page


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda c: c if isinstance(c, str) else "")
def test_the_reference_has_every_option_of_a_command(name, command):
    lines = "\n".join(re.findall(rf"^\| `annotate {name}\b.*$", REFERENCE, re.MULTILINE))
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name not in OF_ALL:
            assert any(f"`{option}" in lines for option in parameter.opts), parameter.opts


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("ingest", SEGMENTERS),
        ("ingest", TRANSCRIBERS),
        ("ingest", EXECUTORS),
        ("models", EXTRACTORS),
        *(("models", family) for family in LEARNING),
        ("strategies", STRATEGIES),
        ("exports", EXPORTERS),
        ("labelling", AGGREGATORS),
    ],
    ids=lambda part: part if isinstance(part, str) else part.kind,
)
def test_every_plug_in_is_explained_on_its_page(page, kind):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for name in kind.names():
        assert f"`{name}`" in text, name


def test_the_tables_of_plug_ins_are_those_that_the_registry_makes():
    with_tables = runpy.run_path(str(ROOT / "docs" / "plugin_tables.py"))["with_tables"]
    pages = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    for path, page in pages.items():
        assert with_tables(page) == page, f"{path.name}: run `make plugin-tables`"
    tables = re.findall("<!-- plug-ins: (.+) -->", "".join(pages.values()))
    assert sorted(tables) == sorted(registry.kind for registry in ALL)


def test_cells_of_the_tables_of_plug_ins_are_short():
    for path in (ROOT / "docs").glob("*.md"):
        for table in re.findall(
            r"<!-- plug-ins: .*?<!-- end of plug-ins -->", path.read_text(encoding="utf-8"), re.DOTALL
        ):
            for row in re.findall(r"^\|(.*)\|$", table, re.MULTILINE):
                assert max(map(len, row.split("|"))) <= 110, row


def test_the_reference_names_no_settings_key_that_does_not_exist():
    sections = "|".join(Settings.model_fields)
    named = set(re.findall(rf"^\| `((?:{sections})\.\w+)` \|", REFERENCE, re.MULTILINE))
    of_dimensions = {f"dimensions.{key}" for key in DimensionSettings.model_fields}
    assert named == {key for key, _ in settings()} | of_dimensions


def anchors(page):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_and_image_leads_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        goal = page.parent / target if target else page
        assert goal.exists(), target
        assert not anchor or anchor in anchors(goal), f"{target}#{anchor}"


def test_the_strategy_that_the_page_shows_asks_for_the_unsure_sample_first():
    page = (ROOT / "docs" / "batches.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    use = """
import numpy as np
from annotate.batch.opening import make_strategy
from tests.support.pools import EMOTION, plant_one_unsure
pool, unsure = plant_one_unsure(EMOTION)
print(make_strategy("gini").select(pool, 3, np.random.default_rng(0)).indices.tolist().index(unsure))
"""
    command = [sys.executable, "-c", code + use]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n", "the unsure sample is not the first"


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def tracked_folders():
    """Folders of the top level and of `annotate/`, as the map of CONTRIBUTING names them."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    parts = [path.split("/") for path in done.stdout.splitlines()]
    top = {p[0] for p in parts if len(p) > 1 and not p[0].startswith(".") and p[0] != "annotate"}
    inner = {f"annotate/{p[1]}" for p in parts if len(p) > 2 and p[0] == "annotate"}
    return {f"{name}/" for name in top | inner}


def test_the_map_of_contributing_names_every_folder_and_no_other():
    if not (ROOT / ".git").exists():
        pytest.skip("only a checkout knows which folders are the project's")
    assert set(re.findall(r"^([a-z]+/(?:[a-z]+/)?) ", CONTRIBUTING, re.MULTILINE)) == tracked_folders()


def test_contributing_shows_the_layers_that_the_import_rules_check():
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = "\n".join(layer.replace("annotate.", "") for layer in rules["contracts"][0]["layers"])
    assert f"```\n{layers}\n```" in CONTRIBUTING


@pytest.mark.parametrize("kind", ["check", "aggregator", "exporter"])
def test_the_plug_in_that_a_recipe_shows_keeps_its_contract(kind, tmp_path):
    """Registered by an entry point, so that processes which the contract tests start find it too."""
    blocks = re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)
    (code,) = (block for block in blocks if f"\n@{kind}(" in block)
    (name,) = re.findall(rf'@{kind}\("([\w-]+)"\)', code)
    (tmp_path / "recipe.py").write_text(code, encoding="utf-8")
    distribution = tmp_path / "recipe-1.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: recipe\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(f"[annotate.{kind}s]\n{name} = recipe\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"tests/contracts/test_{kind}_contract.py", "-k", name],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_readme_leads_to_every_page():
    for page in PAGES[1:-1]:
        assert f"(docs/{page.name})" in README
