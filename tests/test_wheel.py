"""The wheel, installed where neither the repository nor its editable install can be seen, works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
import json, sys
from pathlib import Path
import saewidgets as sw
from saewidgets.cli.lab import copy_notebooks
from saewidgets.widgets import TokenActivations

lab = sw.demo()
activations = lab.activations("The capital of France is Paris.")
widget = TokenActivations(lab, prompt="The capital of France is Paris.")
bundle = widget._repr_mimebundle_()
bundle = bundle[0] if isinstance(bundle, tuple) else bundle
print(json.dumps({"file": sw.__file__, "tokens": len(activations), "firing": len(activations.indices),
                  "mime": sorted(bundle), "script": len(widget._esm), "style": len(widget._css),
                  "copied": copy_notebooks(Path("copies"))}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds the wheel; its dependencies are those of the test environment.

    They come through a path file, whose folders' own path files Python does not read: the editable install of the
    repository stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install"]
    subprocess.run([*install, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    target = subprocess.run([str(python), "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    (Path(target) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def shipped(folder: str) -> set[str]:
    files = (path for path in (ROOT / "saewidgets" / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}


def test_the_wheel_holds_scripts_assets_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    notebooks = {f"saewidgets/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert inside == shipped(".") | notebooks
    assert notebooks
    assert shipped("static")
    assert shipped("demo/assets")
    assert "saewidgets/py.typed" in inside
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_demo_and_widget_work_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run = subprocess.run(
        [str(installed), "-c", PROGRAM],
        cwd=tmp_path,
        env=clean | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert seen["copied"] == sorted(path.name for path in (tmp_path / "copies").iterdir())
    assert "01_explore.ipynb" in seen["copied"]
    assert Path(seen["file"]).is_relative_to(installed.parent.parent)
    assert seen["tokens"] > 5
    assert seen["firing"] > 0
    assert seen["script"] > 0
    assert seen["style"] > 0
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= set(seen["mime"])
