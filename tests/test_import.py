"""Importing is fast, names are found when they are asked for, and the version is one."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import saewidgets

HEAVY = ("torch", "transformer_lens", "transformers", "sae_lens", "altair", "pandas", "jaxtyping")


def modules_after(program: str) -> set[str]:
    code = f"{program}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    assert not modules_after("import saewidgets; dir(saewidgets)").intersection((*HEAVY, "numpy", "ipywidgets"))


@pytest.mark.parametrize("program", ["saewidgets.errors.PromptError", "saewidgets.FeatureId", "saewidgets.demo"])
def test_what_needs_no_tensors_loads_no_torch(program):
    assert not modules_after(f"import saewidgets; {program}").intersection(HEAVY)


def test_the_grammar_loads_no_torch():
    assert not modules_after("from saewidgets.demo import world; world.sample").intersection(HEAVY)


def test_lab_loads_torch_and_not_the_model_libraries():
    loaded = modules_after("import saewidgets; saewidgets.Lab")
    assert "torch" in loaded
    assert not loaded.intersection({"transformer_lens", "transformers", "sae_lens", "altair", "pandas"})


def test_public_names_are_there():
    assert set(saewidgets.__all__) <= set(dir(saewidgets))
    assert saewidgets.Lab.__name__ == "Lab"
    assert saewidgets.demo.__name__ == "saewidgets.demo"


def test_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = saewidgets.nothing


def test_version_is_that_of_the_project():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    assert saewidgets.__version__ == project["version"]
