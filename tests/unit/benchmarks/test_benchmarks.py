"""Every benchmark can be imported and started, so that none rots between the rare runs that measure."""

import importlib
import pkgutil
import sys

import pytest

import benchmarks
from benchmarks.models import FAMILIES

NAMES = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_starts_and_says_what_it_measures(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [f"benchmarks.{name}", "--help"])
    with pytest.raises(SystemExit) as left:
        module.main()
    assert left.value.code == 0
    assert "--quick" in capsys.readouterr().out


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_family_of_mechanisms_that_models_lists_can_be_run(family: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{FAMILIES[family]}").run)
