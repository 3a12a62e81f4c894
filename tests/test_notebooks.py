"""Every notebook runs from top to bottom without the network and can be read without a kernel."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
SKIPPED = "skip-execution"
SECONDS_A_CELL = 300

# A reader's answers to the exercises: what stands in the notebook, and what is put there.
ANSWERS = {
    "01_explore": {"my_feature = None": "my_feature = int(np.argmax(f1_of(capital_batch, 'capital.city')))"},
    "02_attribution_vs_activation": {"my_feature = None": "my_feature = 1474"},
}


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def executed(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """The notebook after a run in a kernel of its own, outside the repository."""
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    own = {"PYTHONPATH": search, "HF_HUB_OFFLINE": "1", "IPYTHONDIR": str(folder / "ipython")}
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_A_CELL,
        store_widget_state=False,
        skip_cells_with_tag=SKIPPED,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute(env=os.environ | own)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    tagged = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in tagged if SKIPPED not in cell.metadata.get("tags", [])]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    return executed(read(request.param), tmp_path_factory.mktemp(request.param.stem))


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_explore", "02_attribution_vs_activation"]
    assert list(ANSWERS) == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_stored(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == []
    assert "widgets" not in read(path).metadata


def test_every_cell_runs_without_error_or_warning(run: nbformat.NotebookNode) -> None:
    outputs = [output for cell in code_cells(run) for output in cell.outputs]
    assert [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    assert [cell.source for cell in code_cells(run) if cell.execution_count is None] == []


def test_every_widget_has_a_static_picture_beside_it(run: nbformat.NotebookNode) -> None:
    bundles = [[output.get("data", {}) for output in cell.outputs] for cell in code_cells(run)]
    live = [cell for cell in bundles if any(WIDGET in data for data in cell)]
    assert live
    for cell in live:
        widgets = sum(WIDGET in data for data in cell)
        pictures = [data["text/html"] for data in cell if "text/html" in data]
        assert len(pictures) >= widgets
        assert all("saew-twin" in picture and "<table" in picture for picture in pictures)
    assert any("<mark" in str(data.get("text/html")) for cell in live for data in cell)


@pytest.mark.parametrize("stem", ANSWERS)
def test_the_exercises_accept_their_answers(stem: str, tmp_path: Path) -> None:
    notebook = read(ROOT / "notebooks" / f"{stem}.ipynb")
    checks = []
    for cell in code_cells(notebook):
        for blank, answer in ANSWERS[stem].items():
            if blank in cell.source:
                cell.source = cell.source.replace(blank, answer)
                checks.append(cell)
    assert len(checks) == len(ANSWERS[stem])
    executed(notebook, tmp_path)
    for cell in checks:
        assert "Well done" in "".join(output.get("text", "") for output in cell.outputs)
