"""The import rules of pyproject.toml hold."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_imports_point_down():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
