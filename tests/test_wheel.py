"""The wheel puts exactly our five names into site-packages, with everything they need at run time."""

import subprocess
import sys
import zipfile

from tests.conftest import ROOT


def test_the_wheel_holds_our_five_names_and_no_tests(tmp_path):
    folder = str(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ".", "-q", "--no-deps", "--no-build-isolation", "-w", folder],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"annotate", "db", "strategies", "exporters", "cli.py"}
    for needed in ("annotate/presets/ch-sims.toml", "db/migrations/env.py", "annotate/py.typed"):
        assert needed in names
