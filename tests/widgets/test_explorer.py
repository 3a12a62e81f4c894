import gc
import threading
import time
import weakref

import ipywidgets
import pytest

from saewidgets.errors import EditError, FeatureIndexError, MismatchError, TokenError, UnknownNameError
from saewidgets.export import export_notebook
from saewidgets.export import views as views_module
from saewidgets.results import FeatureId
from saewidgets.steering import ablate
from saewidgets.widgets.base import WIDGET_VIEW
from saewidgets.widgets.explorer import Explorer
from saewidgets.widgets.feature_dashboard import FeatureDashboard
from saewidgets.widgets.feature_ranking import FeatureRanking
from saewidgets.widgets.side_by_side import row
from saewidgets.widgets.steering_panel import SteeringPanel
from saewidgets.widgets.token_activations import TokenActivations
from tests.export.pages import code, notebook, outputs_of, saved, scripts
from tests.widgets.dashboards import Gate
from tests.widgets.fake_explorer_lab import FakeExplorerLab

PROMPT = "the Golden Gate Bridge"
OTHER = "of San Francisco opens at dawn"
PROMPT_RUN = {"run": 2, "ranker": 1, "next": 1, "text": 2}
"""What a prompt costs: the token view and the live box read it, the ranking runs it, a text is written and steered."""
SAE_RUN = {**PROMPT_RUN, "look": 1, "text": 1}
"""What another SAE costs: the text without edits is there already."""


@pytest.fixture
def lab():
    return FakeExplorerLab()


@pytest.fixture
def explorer(lab):
    explorer = Explorer(lab, PROMPT)
    settled(explorer)
    yield explorer
    explorer.close()


def settled(explorer) -> None:
    """Wait for all that is under way, and for what follows of it."""
    for _ in range(3):
        for view in explorer.children:
            view._wait()


def features(explorer) -> set[str]:
    return {view.feature for view in views(explorer)} | {explorer.feature}


def views(explorer):
    return explorer.children[1:]


def asked(explorer) -> dict[str, int]:
    """What the lab has been asked since it was asked last."""
    settled(explorer)
    found = dict(explorer.lab.asked_of)
    explorer.lab.asked_of.clear()
    return {kind: n for kind, n in found.items() if n}


# ---- one of each, the same in all ------------------------------------------------------------------------------------


def test_it_has_the_four_views_and_each_is_run_once(lab):
    explorer = Explorer(lab, PROMPT, " Paris", " Rome")
    kinds = [TokenActivations, FeatureRanking, FeatureDashboard, SteeringPanel]
    assert [isinstance(view, kind) for view, kind in zip(views(explorer), kinds, strict=True)] == [True] * 4
    named = (explorer.tokens, explorer.ranking, explorer.dashboard, explorer.steering)
    assert named == views(explorer)
    assert (explorer.ranking.target, explorer.ranking.baseline) == (" Paris", " Rome")
    assert asked(explorer) == {**PROMPT_RUN, "look": 1}
    assert explorer.feature == explorer.tokens.feature != ""
    assert features(explorer) == {explorer.feature}
    assert str(explorer.dashboard.result.feature) == explorer.feature
    assert {view.prompt for view in views(explorer)} == {PROMPT}


def test_a_prompt_typed_anywhere_is_the_prompt_of_all_and_runs_each_once(explorer):
    asked(explorer)
    for n, view in enumerate((*views(explorer), explorer)):
        view.prompt = f"{OTHER} {n}"
        assert asked(explorer) == PROMPT_RUN
        assert {one.prompt for one in (*views(explorer), explorer)} == {f"{OTHER} {n}"}
    assert explorer.tokens.result.prompt_tokens.text.endswith(explorer.prompt)
    assert explorer.steering.result.next_token.prompt_tokens.text.endswith(explorer.prompt)


def test_a_feature_chosen_anywhere_is_chosen_everywhere_and_looked_up_once(explorer):
    asked(explorer)
    for n, view in enumerate((*views(explorer), explorer)):
        view.feature = f"mid/{40 + n}"
        assert asked(explorer) == {"look": 1}
        assert features(explorer) == {f"mid/{40 + n}"}
    assert explorer.dashboard.result.feature == FeatureId("mid", 44)
    explorer.feature = 7
    assert features(explorer) == {"mid/7"}


def test_a_token_is_the_position_of_the_ranking_and_back(explorer):
    asked(explorer)
    explorer.tokens.token = 3
    assert asked(explorer) == {}
    assert (explorer.token, explorer.ranking.position) == (3, 3)
    assert set(explorer.ranking.result.positions.tolist()) == {3}
    explorer.ranking.position = 2
    assert (explorer.token, explorer.tokens.token) == (2, 2)
    explorer.token = None
    assert (explorer.tokens.token, explorer.ranking.position) == (None, None)


def test_a_masked_token_is_not_ranked(explorer):
    explorer.tokens.token = 3
    settled(explorer)
    explorer.tokens.token = 0
    settled(explorer)
    assert (explorer.token, explorer.ranking.position) == (0, None)
    explorer.ranking.position = 0  # unless somebody wants it there
    explorer.feature = "mid/3"
    assert (explorer.token, explorer.tokens.token, explorer.ranking.position) == (0, 0, 0)


def test_a_token_that_a_new_prompt_does_not_have_is_let_go_everywhere(explorer):
    explorer.token = 4
    settled(explorer)
    explorer.prompt = "two words"
    settled(explorer)
    assert (explorer.token, explorer.tokens.token, explorer.ranking.position) == (None, None, None)


def test_several_features_of_the_token_view_stay(explorer):
    explorer.tokens.features = ["mid/1", "mid/2", "mid/3"]
    explorer.ranking.feature = "mid/2"
    assert explorer.tokens.features == ("mid/1", "mid/2", "mid/3")
    explorer.dashboard.feature = "mid/9"
    assert explorer.tokens.features == ("mid/1", "mid/9", "mid/3")


@pytest.mark.parametrize("where", ["tokens", "steering", None])
def test_no_feature_is_none_where_there_can_be_none(explorer, where):
    shown = explorer.dashboard.feature
    (getattr(explorer, where) if where else explorer).feature = ""
    assert [view.feature for view in views(explorer)] == ["", "", shown, ""]
    assert explorer.feature == ""


def test_what_is_changed_while_views_are_brought_is_brought_too(explorer):
    def change(_):
        explorer.feature, explorer.prompt = "mid/9", OTHER

    explorer.ranking.observe(change, "feature")
    explorer.feature = "mid/3"
    assert features(explorer) == {"mid/9"}
    assert {view.prompt for view in (*views(explorer), explorer)} == {OTHER}


def test_traits_can_be_linked(explorer):
    box = ipywidgets.Text()
    ipywidgets.link((explorer, "prompt"), (box, "value"))
    assert box.value == PROMPT
    box.value = OTHER
    assert explorer.steering.prompt == OTHER


# ---- several SAEs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(5))
def test_another_sae_is_that_of_all_and_a_feature_of_it_is_chosen(explorer, n):
    asked(explorer)
    (*views(explorer), explorer)[n].sae = "wide"
    found = asked(explorer)
    assert {view.sae for view in (*views(explorer), explorer)} == {"wide"}
    first = explorer.tokens.feature
    if n != 2:  # the dashboard itself goes on with the feature of the same number
        assert found == SAE_RUN
        assert first in {str(FeatureId("wide", one.feature)) for one in explorer.tokens.result.top(99)}
    assert first.startswith("wide/")
    assert features(explorer) == {first}


@pytest.mark.parametrize("n", range(5))
def test_a_feature_of_another_sae_changes_the_sae_of_all(explorer, n):
    asked(explorer)
    (*views(explorer), explorer)[n].feature = "wide/1999"
    assert asked(explorer) == SAE_RUN
    assert features(explorer) == {"wide/1999"}
    assert {view.sae for view in (*views(explorer), explorer)} == {"wide"}
    assert "no index" in explorer.dashboard.error


def test_an_sae_with_no_prompt_to_choose_by(explorer):
    explorer.prompt = ""
    settled(explorer)
    gate = Gate(explorer.lab)
    explorer.sae = "wide"
    assert {view.sae for view in views(explorer) if view is not explorer.dashboard} == {"wide"}
    assert explorer.dashboard.sae == "mid"  # until the token view has chosen, or cannot
    gate.open.set()
    settled(explorer)
    assert {view.sae for view in views(explorer)} == {"wide"}
    assert (explorer.feature, explorer.tokens.feature) == ("", "")
    assert explorer.dashboard.feature.startswith("wide/")
    explorer.prompt = PROMPT
    settled(explorer)
    assert explorer.feature.startswith("wide/")
    assert features(explorer) == {explorer.feature}


# ---- faults ----------------------------------------------------------------------------------------------------------


def test_a_prompt_that_cannot_be_run_is_said_by_each_and_ends_nothing(explorer):
    explorer.prompt = ""
    settled(explorer)
    assert "no tokens" in explorer.tokens.error
    assert "no tokens" in explorer.ranking.error
    explorer.feature = "mid/3"
    assert features(explorer) == {"mid/3"}
    explorer.prompt = OTHER
    settled(explorer)
    assert [view.error for view in views(explorer)] == [""] * 4
    assert {view.prompt for view in views(explorer)} == {OTHER}


def test_a_view_that_refuses_is_in_nobodys_way(explorer, monkeypatch):
    def refuse(_):
        raise FeatureIndexError("This view wants no feature.")

    monkeypatch.setattr(explorer.ranking, "_known_feature", refuse)
    explorer.feature = "mid/5"
    assert (explorer.tokens.feature, explorer.dashboard.feature, explorer.steering.feature) == ("mid/5",) * 3
    assert explorer.bar.error == "This view wants no feature."
    monkeypatch.undo()
    explorer.feature = "mid/6"
    assert features(explorer) == {"mid/6"}
    assert explorer.bar.error == ""


def test_a_view_whose_work_fails_leaves_the_others(explorer):
    explorer.ranking.target = "nonsense"
    explorer.tokens.feature = "mid/8"
    explorer.prompt = OTHER
    settled(explorer)
    assert "not one token" in explorer.ranking.error
    assert [view.error for view in views(explorer) if view is not explorer.ranking] == [""] * 3
    assert features(explorer) == {"mid/8"}


def test_a_token_that_the_ranking_does_not_know_is_chosen_all_the_same(explorer):
    explorer.ranking.target = "nonsense"
    explorer.prompt = OTHER
    settled(explorer)
    explorer.tokens.token = 6
    settled(explorer)
    assert (explorer.token, explorer.ranking.position, explorer.bar.error) == (6, None, "")
    explorer.ranking.target = " Paris"
    settled(explorer)
    explorer.feature = "mid/3"
    settled(explorer)
    assert (explorer.ranking.position, explorer.ranking.error) == (6, "")


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("sae", "none", UnknownNameError),
        ("feature", "mid/512", FeatureIndexError),
        ("token", 99, TokenError),
        ("sizes", {"columns": 0.9}, MismatchError),
        ("sizes", {"width": 3}, MismatchError),
        ("sizes", {"rows": True}, MismatchError),
        ("sizes", {"height": float("nan")}, MismatchError),
        ("sizes", 5, MismatchError),
        ("shown", ["tokens", "map"], UnknownNameError),
        ("shown", [["tokens"]], UnknownNameError),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(explorer, name, value, kind):
    before = {trait: getattr(explorer, trait) for trait in ("prompt", "sae", "feature", "token", "sizes", "shown")}
    with pytest.raises(kind):
        setattr(explorer, name, value)
    assert {trait: getattr(explorer, trait) for trait in before} == before
    assert features(explorer) == {before["feature"]}


def test_bad_arguments(lab):
    with pytest.raises(UnknownNameError):
        Explorer(lab, PROMPT, sae="none")
    with pytest.raises(MismatchError):
        Explorer(lab, PROMPT, sae="mid", feature="wide/3")
    with pytest.raises(UnknownNameError, match="dashboard"):
        Explorer(lab, PROMPT, views=("tokens", "map"))
    with pytest.raises(MismatchError, match="nothing to show"):
        Explorer(lab, PROMPT, views=())
    with pytest.raises(FeatureIndexError):
        Explorer(lab, PROMPT, feature=5000)
    with pytest.raises(TypeError):
        Explorer(lab, promt=PROMPT)  # pyright: ignore[reportCallIssue]


# ---- views that are left out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tokens", "ranking", "dashboard", "steering"])
def test_one_view_alone(lab, name):
    explorer = Explorer(lab, PROMPT, feature=3, views=name)
    settled(explorer)
    assert len(views(explorer)) == 1
    assert [getattr(explorer, one) is None for one in ("tokens", "ranking", "dashboard", "steering")].count(False) == 1
    assert features(explorer) == {"mid/3"}
    explorer.prompt, explorer.sae = OTHER, "wide"
    settled(explorer)
    assert (views(explorer)[0].prompt, views(explorer)[0].sae) == (OTHER, "wide")
    if name != "steering":
        with pytest.raises(EditError, match="no steering panel"):
            explorer.steer()
    explorer.close()


def test_without_a_token_view_the_ranking_says_which_positions_there_are(lab):
    explorer = Explorer(lab, PROMPT, views=("ranking", "steering"))
    settled(explorer)
    explorer.token = 3
    assert explorer.ranking.position == 3
    settled(explorer)
    with pytest.raises(TokenError):
        explorer.token = 50
    explorer.close()
    bare = Explorer(lab, PROMPT, views=("steering",))
    with pytest.raises(TokenError):
        bare.token = 1
    bare.close()


# ---- steering and notes ----------------------------------------------------------------------------------------------


def test_steering_adds_the_chosen_feature_once(explorer):
    explorer.feature = "mid/3"
    assert explorer.steer() is True
    assert [(edit.name, edit.operation, edit.value) for edit in explorer.steering.edits] == [("mid/3", "set", 4.0)]
    assert explorer.steer() is False
    assert len(explorer.steering.edits) == 1
    explorer.feature = "mid/4"
    assert explorer.steer(2, "add") is True
    assert [edit.name for edit in explorer.steering.edits] == ["mid/3", "mid/4"]
    explorer.steering.edits = [ablate("mid/9")]
    explorer.feature = "mid/9"
    assert explorer.steer() is False


def test_steering_at_the_moment_at_which_it_is_added_adds_nothing(explorer, monkeypatch):
    explorer.feature = "mid/3"
    steers, looked, told = explorer._steers, threading.Event(), []

    def look(feature):
        looked.set()
        return steers(feature)

    with explorer.steering._changing:
        monkeypatch.setattr(explorer, "_steers", look)
        other = threading.Thread(target=lambda: told.append(explorer.steer()))
        other.start()
        assert not looked.wait(0.3)  # it has to wait for its turn
        monkeypatch.undo()
        explorer.steering.add("mid/3")
    other.join()
    assert told == [False]
    assert [edit.name for edit in explorer.steering.edits] == ["mid/3"]


def test_where_nothing_is_chosen_what_the_dashboard_shows_is_steered(explorer):
    explorer.dashboard.feature = "mid/11"
    explorer.feature = ""
    assert explorer.bar._offer["feature"] == "mid/11"
    explorer.steer()
    assert [edit.name for edit in explorer.steering.edits] == ["mid/11"]


def test_without_a_feature_nothing_can_be_steered(lab):
    explorer = Explorer(lab, PROMPT, feature="", views=("tokens", "steering"))
    with pytest.raises(EditError, match="No feature is chosen"):
        explorer.steer()
    explorer.close()


def test_the_bar_says_what_can_be_steered_and_how_it_is_called(explorer):
    explorer.feature = "mid/3"
    assert explorer.bar._offer == {"feature": "mid/3", "label": "", "steered": False}
    explorer.lab.annotate("mid/3", label="gates <b>")
    assert explorer.bar._offer["label"] == "gates <b>"
    explorer.lab.saes["mid"].labels = {4: "half \ud800"}
    explorer.feature = "mid/4"
    assert explorer.bar._offer["label"] == "half \\ud800"
    explorer.feature = "mid/3"
    explorer.bar._receive(None, {"op": "steer", "view": "v", "seq": 1})
    assert explorer.bar._offer["steered"] is True
    assert [edit.name for edit in explorer.steering.edits] == ["mid/3"]
    explorer.steering.remove(0)
    assert explorer.bar._offer["steered"] is False


def test_a_label_that_is_given_in_the_dashboard_is_that_of_the_bar(explorer):
    explorer.feature = "mid/3"
    explorer.dashboard._receive(None, {"op": "annotate", "label": "bridges", "view": "v", "seq": 1})
    assert explorer.bar._offer["label"] == "bridges"


# ---- threads ---------------------------------------------------------------------------------------------------------


def test_views_that_are_changed_from_many_threads_agree_in_the_end(explorer):
    together = threading.Barrier(4)

    def change(view, n):
        together.wait()
        for step in range(8):
            view.feature = f"mid/{100 * n + step}"
            view.prompt = f"{OTHER} {n} {step}"

    threads = [threading.Thread(target=change, args=(view, n)) for n, view in enumerate(views(explorer))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settled(explorer)
    assert features(explorer) == {explorer.feature}
    assert {view.prompt for view in views(explorer)} == {explorer.prompt}
    assert explorer.tokens.result.prompt_tokens.text.endswith(explorer.prompt)


# ---- the layout ------------------------------------------------------------------------------------------------------


def test_sizes_and_what_is_seen_are_kept(explorer):
    explorer.bar._receive(None, {"op": "set", "sizes": {"columns": 0.3}, "shown": ["steering", "tokens"], "seq": 1})
    assert explorer.sizes == {"columns": 0.3, "rows": 0.5, "height": 760}
    assert explorer.shown == ("tokens", "steering")
    explorer.sizes = {"height": 900}
    assert explorer.bar.sizes == {"columns": 0.42, "rows": 0.5, "height": 900}
    state = explorer.bar.get_state()
    assert (state["sizes"]["height"], list(state["shown"])) == (900, ["tokens", "steering"])


def test_a_size_from_the_browser_that_cannot_be_is_told(explorer, monkeypatch):
    told = []
    monkeypatch.setattr(explorer.bar, "send", lambda message: told.append(message["error"]))
    explorer.bar._receive(None, {"op": "set", "sizes": {"height": "<b>"}, "view": "v", "seq": 1})
    assert "no size of an explorer" in told[0]
    assert explorer.sizes["height"] == 760


def test_sizes_and_layout_may_be_given(lab):
    layout = ipywidgets.Layout(width="500px")
    explorer = Explorer(lab, PROMPT, views=("tokens",), sizes={"rows": 0.3}, layout=layout)
    assert explorer.sizes["rows"] == 0.3
    assert explorer.layout is layout
    explorer.close()


# ---- without a kernel ------------------------------------------------------------------------------------------------


def test_the_twin_has_the_four_twins_under_their_titles(explorer):
    html, text = explorer.static_html(), explorer.static_text()
    titles = ["Tokens", "Ranking", "Feature", "Steering"]
    pairs = list(zip(titles, views(explorer), strict=True))
    places = [html.index(f"<h3>{title}</h3>{view.static_html()}") for title, view in pairs]
    assert places == sorted(places)
    assert all(f'class="saew-twin {view._twin}"' in html for view in views(explorer))
    assert text == "\n\n".join(f"{title}\n{view.static_text()}" for title, view in pairs)


def test_one_bundle_holds_the_live_box_and_the_twins(explorer):
    data = explorer._repr_mimebundle_()
    assert {"text/html", "text/plain", WIDGET_VIEW} <= set(data)
    assert data[WIDGET_VIEW]["model_id"] == explorer.model_id
    # The notebook's own copy has a height that no host folds; what is in it is the same.
    mark = f'<div class="saew-twin {explorer._mark}">'
    low = data["text/html"].replace('<div style="max-height:1600px;overflow:auto">', "", 1)
    assert low == f"{explorer._marked_html()}</div>"
    assert data["text/html"].startswith(mark)


def test_one_file_has_all_views_with_the_bar_in_front(explorer, tmp_path):
    explorer.sizes = {"columns": 0.3}
    explorer.prompt = "</script><b>"
    settled(explorer)
    text = explorer.to_html(tmp_path / "explorer.html").read_text()
    bar, *rest = saved(text)
    assert (bar["state"]["sizes"]["columns"], bar["state"]["_panes"]) == (0.3, list(explorer._panes))
    assert [one["state"]["prompt"] for one in rest] == ["</script><b>"] * 4
    assert len(scripts(text)) == 6
    assert "<title>Explorer · &lt;/script&gt;&lt;b&gt;</title>" in text
    assert explorer._marked_html() in text


def test_script_and_style_are_small(explorer):
    assert len(explorer.bar._esm.encode()) + len(explorer.bar._css.encode()) <= 12_000
    assert "innerHTML" not in explorer.bar._esm


def test_a_closed_explorer_its_views_and_its_lab_are_forgotten():
    explorer = Explorer(FakeExplorerLab(), PROMPT)
    settled(explorer)
    seen = [weakref.ref(one) for one in (explorer, explorer.lab, *explorer.children)]
    kept = explorer.tokens
    explorer.close()
    kept.feature = "mid/1"
    assert explorer.feature != "mid/1"
    explorer.prompt = OTHER
    assert kept.prompt == PROMPT
    del explorer, kept
    deadline = time.monotonic() + 10
    while any(ref() is not None for ref in seen) and time.monotonic() < deadline:
        gc.collect()
    assert [ref() for ref in seen] == [None] * len(seen)


def test_it_may_stand_beside_other_views(explorer, tmp_path):
    other = TokenActivations(explorer.lab, OTHER)
    both = row(explorer, other)
    assert explorer._marked_html() in both._marked_html()
    prompts = [one["state"].get("prompt") for one in saved(both.to_html(tmp_path / "both.html").read_text())]
    assert prompts == [None, *[PROMPT] * 4, OTHER]


@pytest.mark.parametrize("held", [True, False], ids=["from the kernel", "from saved state"])
def test_an_exported_notebook_has_it_live(explorer, tmp_path, monkeypatch, held):
    explorer.sizes = {"height": 500}
    if not held:
        monkeypatch.setattr(views_module, "held", {})
    cell = code("explorer", *outputs_of(explorer))
    text = export_notebook(notebook(cell, views=[explorer, *explorer.children]), tmp_path / "nb.html").read_text()
    bar, *rest = saved(text)
    assert bar["state"]["sizes"]["height"] == 500
    assert [one["state"]["feature"] for one in rest] == [explorer.feature] * 4
