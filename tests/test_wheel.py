"""The wheel puts exactly our five names into site-packages, with everything they need at run time."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import ROOT


def test_the_wheel_holds_our_five_names_and_works_without_the_checkout(tmp_path):
    folder = str(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ".", "-q", "--no-deps", "--no-build-isolation", "-w", folder],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"annotate", "db", "strategies", "exporters", "cli.py"}
    assert {"annotate/py.typed", "annotate/report/simulation.html"} <= set(names)
    weights = [name for name in names if name.startswith("annotate/weights/")]
    assert sorted(Path(name).suffix for name in weights) == [".md", ".onnx"], "with their licence"
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert run(tmp_path, "import annotate; print(annotate.__file__)").startswith(str(tmp_path / "site"))
    made = json.loads(run(tmp_path, "import cli; cli.main()", "init", "corpus", "--json"))
    assert made["tasks"] == ["sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M"]
    plugins = json.loads(run(tmp_path, "import cli; cli.main()", "list", "--json"))
    assert all(plugins.values()) and "mmsa" in plugins["exporter"]


def run(folder, code, *arguments):
    """What a Python prints that finds our packages in the unpacked wheel first."""
    env = {**os.environ, "PYTHONPATH": str(folder / "site")}
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout
