"""``saewidgets.demo()``: quick, lazy, and clear where the assets are missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import saewidgets
from saewidgets.errors import LoadError


@pytest.fixture
def assets(tmp_path, make_hf_folder, make_sae_folder, monkeypatch):
    """Stand-ins for the bundled model and SAEs."""
    folder = tmp_path / "assets"
    shutil.copytree(make_hf_folder("gpt2"), folder / "model")
    for name in ("a-first", "mid-topk-2048", "z-last"):
        shutil.move(make_sae_folder(name=name), folder / "saes" / name)
    monkeypatch.setattr(saewidgets.demo, "ASSETS", folder)
    return folder


def test_the_module_is_the_function(assets):
    lab = saewidgets.demo()
    assert list(lab.saes) == ["mid-topk-2048", "a-first", "z-last"]
    assert list(lab.models) == ["demo"]
    found = lab.activations("the cat sat")
    assert (found.sae, found.model) == ("mid-topk-2048", "demo")
    assert len(found.values)


def test_each_lab_is_its_own(assets):
    one, two = saewidgets.demo(), saewidgets.demo()
    one.remove("a-first")
    assert "a-first" in two.saes


def test_model_is_built_only_when_it_is_needed(assets):
    program = (
        "import sys, pathlib, saewidgets; saewidgets.demo.ASSETS = pathlib.Path(sys.argv[1]); lab = saewidgets.demo();"
        "repr(lab), lab.memory(), lab.feature_id(3);"
        "sys.exit(bool({'transformer_lens', 'transformers', 'sae_lens', 'altair'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(assets)], check=False).returncode == 0


@pytest.mark.parametrize("missing", ["model", "saes", "."])
def test_missing_assets_say_what_to_do(assets, missing):
    shutil.rmtree(assets / missing)
    with pytest.raises(LoadError, match=r"not part of this installation[\s\S]*make demo-model"):
        saewidgets.demo()


def test_damaged_asset_names_its_file(assets):
    path = assets / "saes" / "z-last" / "cfg.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "d_sae": 0}))
    with pytest.raises(LoadError, match=r"z-last.cfg\.json: field 'd_sae'"):
        saewidgets.demo()


def test_world_is_found_as_attribute_and_as_module():
    from saewidgets.demo import world

    assert saewidgets.demo.world is world
    assert world.__name__ == "saewidgets.demo.world"


def test_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = saewidgets.demo.nothing


def test_a_second_run_gives_the_same_numbers(assets):
    lab = saewidgets.demo()
    assert np.array_equal(lab.activations("the cat").values, lab.activations("the cat").values)


def test_a_view_outlives_its_sae(assets):
    lab = saewidgets.demo()
    name = lab.default_sae
    view = saewidgets.TokenActivations(lab, "the cat")
    before = view.result
    lab.remove(name)
    view.prompt = "the dog"
    assert view.status["state"] == "failed"
    assert repr(name) in view.error
    assert view.result is before
