"""The documentation tells the truth: every command has help, an example, and a line in the README."""

import pytest
import typer.main

import cli  # noqa: TID251 - the help texts are what is tested
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands():
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        yield from (
            ((f"{name} {sub}", c) for sub, c in command.commands.items())
            if hasattr(command, "commands")
            else ((name, command),)
        )


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda c: c if isinstance(c, str) else "")
def test_every_command_has_help_an_example_and_a_line_in_the_readme(name, command):
    assert f"Example: annotate {name}" in command.help
    assert f"annotate {name}" in README
    for parameter in command.params:
        assert getattr(parameter, "help", "--help") or parameter.name == "help", parameter.name


def test_the_readme_never_names_the_other_project_called_annotate():
    assert "pip install annotate\n" not in README
    assert "pip install annotate " not in README
