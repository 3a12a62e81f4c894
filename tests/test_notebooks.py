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
    "03_steering": {"my_edit = None": "my_edit = sw.steering.set_if_active(complaint, 2)"},
    "04_vectors_vs_features": {"my_pairs = None": "my_pairs = 2"},
    "05_feature_dashboards": {"my_feature = None": "my_feature = 221"},
    "06_leaky_features": {"my_threshold = None": "my_threshold = 0.38"},
    "07_sharing": {"my_label = None": "my_label = 'gold'"},
}

# What the text of a notebook says of its figures: an expression a line in the names of its cells, true after a run.
CLAIMS = {
    "03_steering": """
        # The best detector steers well at every strength; others lose it, or never have it.
        praise == 1452
        abs(probability(GOOD, review) - 0.38) < 0.01 and abs(probability(BAD, review) - 0.61) < 0.01
        min(probability(GOOD, review, sw.steering.set(1452, times)) for times in (1, 2, 5)) > 0.75
        min(probability(GOOD, review, sw.steering.set(one, 1)) for one in (1224, 1239)) > 0.85
        max(probability(GOOD, review, sw.steering.set(one, 5)) for one in (1224, 1239)) < 0.15
        max(probability(GOOD, review, sw.steering.set(one, 1)) for one in (1034, 1944)) < 0.35
        # Nothing to do is nothing done; set to 0 is ablation; project_out takes more.
        effects.loc[5, "KL"] == 0 and effects.loc[5, "tokens moved"] == "0 of 10"
        effects.loc[2, "praise"] == effects.loc[6, "praise"] > 3 * effects.loc[8, "praise"]
        compared.sweep[-1].repetition > 0.8 and compared.sweep[3].repetition < 0.4
        # Conditional: bit for bit nothing where the detector is silent.
        complaint == 1483
        list(conditional["bit-identical"]) == [False] * 5 + [True, False, True, False, True]
        list(conditional["tokens moved"])[1::2] == ["5 of 8", "2 of 8", "0 of 5", "0 of 5", "0 of 4"]
        list(conditional["says"])[:2] == [" brilliant"] * 2 and conditional.loc[5, "says"] == " Paris"
        lab.side_effect(kind).kl > 50 * lab.side_effect(kind_to_complaints).kl
        taken_out.loc[0, "Gate after"] > 0.9 and taken_out.loc[1, "Gate after"] < 0.02
        taken_out.loc[1, "side effect"] > 20 * taken_out.loc[0, "side effect"]
        # The Golden Gate feature: a narrow window, unless only the prompt is steered.
        gate == 336 and golden.loc[gate, "F1"] > 0.99 and 0.5 < loose.loc[gate, "precision"] < 0.55
        everywhere.loc[0, "name it"] == 3 and everywhere.loc[[0.5, 0.75], "name it"].max() <= 3
        everywhere.loc[1, "name it"] == 8 and everywhere.loc[1, "repetition"] < 0.35
        everywhere.loc[2:, "name it"].max() == 0 and everywhere.loc[2:, "repetition"].min() > 0.9
        everywhere["KL on neutral texts"].is_monotonic_increasing and everywhere.loc[2, "KL on neutral texts"] > 4
        0.6 < maximum[gate] / length < 0.75
        prompt_only.loc[10, "name it"] == 12 and prompt_only["repetition"].max() < 0.25
        leaky["KL nearby"].is_monotonic_decreasing
        leaky.loc[0, "KL nearby"] > 0.04 and leaky.loc[4, "KL nearby"] == 0
        0.5 < share.min() < share.max() < 0.95
        bos["all"] > 100 * bos["[0]"] > 0
        abs(own["no edit"].iloc[0] - own["no edit"].iloc[1] - 0.4) < 0.1
        abs(own["set 1 m"].iloc[0] - own["set 1 m"].iloc[1] - 2) < 0.1
        abs(own["set 1 m"] - own["no edit"]).iloc[[0, 2, 3]].max() < 0.5 and own["set 2 m"].max() < -10
        sw.steering.edits_to_json(sw.steering.edits_from_json(saved)) == saved
    """,
    "04_vectors_vs_features": """
        len(caught) == 1 and "32 pairs" in str(caught[0].message)
        few.expected_cosine < many.expected_cosine and 0.8 < few.cosine(many) < 0.9
        feature == 1815 and all(before < 0.001 and after > 0.3 for before, after in paris.values())
        # The law, and how many pairs it asks for.
        abs(cosines["measured"] - cosines["law"]).max().max() < 0.07
        list(cosines["measured"].round(1).loc[1]) == [0.5, 0.6]
        [round(pairs) for pairs in needed.values()] == [13, 9]
        # The probe with much regularisation is the difference in means.
        directions.iloc[:6, 0].is_monotonic_increasing
        directions.iloc[0, 0] < 0.85 and directions.iloc[5, 0] > 0.9999
        directions.loc["pca"].item() > 0.99 and abs(directions.loc["random"].item()) < 0.2
        abs(directions.iloc[-1, 0] - 0.77) < 0.01
        # The dispute: for France one to four pairs lose and more do not; for praise two win.
        list(france_answer["says"])[:3] == ["the feature"] * 3 and list(france_answer["n_pairs"])[:3] == [1, 2, 4]
        list(france_answer["says"])[3:8] == ["no difference seen"] * 5 and france_answer["method"].iloc[7] == "probe"
        list(france_answer["says"])[8:] == ["the other", "the feature"]
        list(france_answer["method"])[8:] == ["pca", "random"]
        at_kl.query("method == 'random'")["effect"].item() > 2
        bench_praise.feature == "mid-topk-2048/1239"
        list(praise_answer["says"]) == ["no difference seen"] + ["the other"] * 8 + ["the feature"]
        by_hand["gain"].idxmax() == "vector of 256 pairs" and by_hand["score of the text"].iloc[2:].min() > 1.95
        # The cost, by hand.
        abs(large.break_even - 1e9 / (510 * 100)) < 1e-6 and small.break_even > 5000 and free.break_even == 0
        found_with["feature"].nunique() == 2 and set(found_with["feature"][1:]) == {"mid-topk-2048/1815"}
    """,
    "05_feature_dashboards": """
        index.n_tokens == 242_692 and len(index) == 2048
        # Two hills, one word in the upper.
        abs(sum(each.share for each in stats.intervals[:5]) - 0.65) < 0.01
        abs(sum(each.mass_share for each in stats.intervals[:5]) - 0.3) < 0.01
        set(words(stats.top)) == {" Golden"} == set(words(e for each in stats.intervals[5:] for e in each.examples))
        {" bay", " fog", "Alcatraz", " Cable"} <= set(words(e for i in stats.intervals[:5] for e in i.examples))
        # The truth.
        stats.concepts[0].concept == "landmark.golden_gate_bridge" and stats.concepts[0].f1 > 0.99
        0.17 < (best["f1"] >= 0.8).mean() < 0.23
        # What it writes.
        stats.logits.top[0].token == " Gate"
        {" Tower", " Lady", " Familia"} <= {effect.token for effect in stats.logits.top}
        all(str(near.feature).endswith("/336") for near in stats.neighbours[:3])
        # The contrast's candidates, and a name.
        list(found["share_a"]) == [1] * 5 and found["share_b"].iloc[0] == 0
        found["it tells"].iloc[0] == "dialogue.greeting" and "landmark.golden_gate_bridge" in set(found["it tells"])
        list(index.search(label="golden")["feature"]) == [336] and dashboard.result.label.startswith("Golden")
        # Dense features, and another corpus.
        0.18 < dense.mean() < 0.22 and index.density.max() > 0.6 and np.sort(index.density)[-3] > 1 / 3
        [" Brasilia" in words(lab.feature(1637).top), " Galileo" in words(lab.feature(541).top)] == [True, True]
        " time" in words(lab.feature(1563).top)
        0.9 < np.median(ratio) < 1 and (ratio > 1).mean() < 0.3
        abs(table["density here"] / table["density there"] - 1).iloc[[336, 221, 1371]].max() < 0.25
    """,
    "06_leaky_features": """
        # All look alike; precision runs from almost 0 to almost 1.
        len(lookalikes) > 100 and 0.3 < lookalikes["precision"].median() < 0.37
        lookalikes["precision"].min() < 0.05 and lookalikes["precision"].max() > 0.95
        f"mid-topk-2048/{lookalikes['feature'].iloc[-1]}" == clean and lookalikes["top 20 are"].iloc[-1] == " Elizabeth"
        leaky in [f"mid-topk-2048/{feature}" for feature in lookalikes["feature"][:20]]
        set(words(lab.feature(leaky).top)) == {" Timothy"}
        {" was", " theater", " the", " hotel"} <= set(words(e for i in stats.intervals[:3] for e in i.examples))
        # Exact: where it leaks, and what a threshold costs.
        elizabeth.overall_precision > 0.97 and elizabeth.recall[0] > 0.97 and 0.05 < timothy.overall_precision < 0.065
        [each.precision for each in timothy.intervals[:3]] == [0, 0, 0] and 0 < timothy.intervals[3].precision < 0.5
        all(each.precision == 1 for each in timothy.intervals[4:]) and timothy.intervals[4].n == 2
        abs(timothy.intervals[4].precision_low - 0.34) < 0.01
        abs(timothy.at(0.4).share - 0.06) < 0.005 and abs(timothy.at(0.4).mass - 0.31) < 0.005
        timothy.recall[0] - timothy.at(0.4).recall < 0.03 and abs(timothy.at(0.7).recall - 0.5) < 0.02
        abs(sum(each.mass_share for each in timothy.intervals[:3]) - 2 / 3) < 0.02
        # One threshold for all: enough for half.
        0.45 < (lookalikes["least threshold"] <= 0.4).mean() < 0.55
        0.17 < 1 - (lookalikes["least threshold"] <= 0.6).mean() < 0.25
        (lookalikes["least threshold"] <= 0.1).sum() > 3
        # After its word.
        list(late["precision above 0.4"]) == [0, 1, 1] and late["precision"].iloc[0] == 0
        # Two raters agree, and their features do not.
        lab.annotations.agreement("strict", "kind", "example").kappa > 0.8
        abs(kind.overall_precision - 0.25) < 0.03 and abs(strict.overall_precision - 0.05) < 0.01
        kind.at(0.4).precision == strict.at(0.4).precision == 1
        sum(each.n for each in strict.intervals[4:]) > 0.5 * strict.n_scored and strict.at(0.4).share < 0.06
    """,
    "07_sharing": """
        # The ranking's note, and what is in the file.
        abs(ranking.top(1, "activation")[0].ablation) < 0.02 and ranking.top(1, "ablation")[0].feature == 336
        len(lines) == 5 and json.loads(lines[0])["op"]["set"]["label"] == "Golden (Gate Bridge)"
        # Two folders in one: the last label, the note that only one has, both people's tags and ratings.
        report.files == 2 and report.problems == ()
        [one.label for one in report.annotations if one.target.feature == 1639] == ["Timothy, mostly not"]
        [one.tags for one in report.annotations if one.target.feature == 1639] == [("leaky", "name")]
        # Kappa by hand.
        agreement.n == 8 and sum(scores["ann"] == scores["bob"]) == 4 and max(apart) == 4
        abs(agreement.kappa - 0.667) < 0.001 and abs(1 - apart.mean() / by_chance - agreement.kappa) < 1e-9
        # Labels of people go out; those of Neuronpedia do not come back to it.
        [int(one["index"]) for one in ours] == [140, 336, 624, 1483, 1639]
        # Pages without an address, and a notebook that is a fraction without its state.
        text.count("http") - text.count("http-equiv") == 0 and before > 5 * after
        not folder.exists()
    """,
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
    return [cell for cell in tagged if not {SKIPPED, "answered"} & set(cell.metadata.get("tags", []))]


def answered(notebook: nbformat.NotebookNode, answers: dict[str, str]) -> list[nbformat.NotebookNode]:
    """The exercises with a reader's answers in place of the blanks."""
    cells = []
    for blank, answer in answers.items():
        (source,) = [cell.source for cell in code_cells(notebook) if blank in cell.source]
        cells.append(nbformat.v4.new_code_cell(source.replace(blank, answer), metadata={"tags": ["answered"]}))
    return cells


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """A notebook after a run; behind it the exercises, answered, and a cell that prints which claims are false."""
    notebook = read(request.param)
    lines = map(str.strip, CLAIMS.get(request.param.stem, "").splitlines())
    claims = [line for line in lines if line and not line.startswith("#")]
    check = f"print([claim for claim in {claims!r} if not eval(claim)])"
    notebook.cells += [nbformat.v4.new_code_cell(check), *answered(notebook, ANSWERS[request.param.stem])]
    return executed(notebook, tmp_path_factory.mktemp(request.param.stem))


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01_explore", "02_attribution_vs_activation", "03_steering", "04_vectors_vs_features",
        "05_feature_dashboards", "06_leaky_features", "07_sharing",
    ]  # fmt: skip
    assert list(ANSWERS) == [path.stem for path in NOTEBOOKS]
    assert CLAIMS.keys() <= ANSWERS.keys()


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


def test_what_the_text_says_of_the_figures_is_true(run: nbformat.NotebookNode) -> None:
    checked = code_cells(run)[-1]
    assert "".join(output.get("text", "") for output in checked.outputs) == "[]\n"


def test_the_exercises_wait_for_an_answer(run: nbformat.NotebookNode) -> None:
    waiting = [cell for cell in code_cells(run) if "Not yet" in cell.source]
    assert waiting
    for cell in waiting:
        assert "".join(output.get("text", "") for output in cell.outputs).startswith("Not yet")


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


def test_the_exercises_accept_their_answers(run: nbformat.NotebookNode) -> None:
    answered = [cell for cell in run.cells if "answered" in cell.metadata.get("tags", [])]
    assert answered
    for cell in answered:
        assert "Well done" in "".join(output.get("text", "") for output in cell.outputs)
