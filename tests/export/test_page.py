import base64
import hashlib
import re

import pytest

from saewidgets.export.page import Places, SavedBox, SavedView, page
from saewidgets.widgets import TokenActivations
from saewidgets.widgets.wire import halved
from tests.export.pages import saved, scripts
from tests.widgets.fake_lab import FakeLab

SCRIPT = "var a={render(){}};export{a as default};\n"


def one_view(state, script=SCRIPT, style=""):
    places = Places()
    return page(places.place(SavedView(state, script, style)), places, "title")


def test_the_state_is_all_that_the_script_reads(tmp_path):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    text = view.to_html(tmp_path / "view.html").read_text()
    (one,) = saved(text)
    assert one["state"]["_data"] == halved(view._data)
    assert (one["state"]["prompt"], one["state"]["feature"]) == ("the Golden Gate", view.feature)
    assert not {"_esm", "_css", "layout", "_model_name", "_view_name", "_anywidget_id"} & one["state"].keys()
    assert str(view._css) in text


def test_the_twin_is_in_the_page(tmp_path):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    assert view.static_html() in view.to_html(tmp_path / "view.html").read_text()


def test_only_our_scripts_may_run_and_nothing_be_fetched():
    text = one_view({})
    policy = text.split('Content-Security-Policy" content="')[1].split('"')[0]
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts(text)]
    assert len(digests) == 2
    assert policy.split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "script-src " + " ".join(f"'sha256-{digest}'" for digest in digests),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert "http" not in text.replace("http-equiv", "")


def test_a_page_without_views_has_no_scripts():
    text = page("<p>Hi</p>", Places(), "x")
    assert scripts(text) == []
    assert "script-src 'none'" in text


def test_a_script_is_kept_once_for_all_its_views_and_a_view_for_all_its_places():
    places, other = Places(), "var b={};export{b as default};"
    one, two = SavedView({"n": 1}, SCRIPT, "p{}"), SavedView({"n": 2}, SCRIPT, "p{}")
    third = SavedView({"n": 3}, other, "q{}")
    made = places.place(SavedBox("row", (one, SavedBox("column", (two, third, one)))))
    text = page(made, places, "x")
    assert [view["state"]["n"] for view in saved(text)] == [1, 2, 3]
    assert [view["script"] for view in saved(text)] == [0, 0, 1]
    assert len(scripts(text)) == 3
    assert (text.count("p{}"), text.count("q{}")) == (1, 1)
    assert re.findall(r'data-saew="(\d)"', text) == ["0", "1", "2", "0"]
    assert re.findall(r'class="(views-\w+)"', text) == ["views-row", "views-column"]


@pytest.mark.parametrize("script", [SCRIPT, "export default {}", "const $a=1;export { $a as default }"])
def test_what_a_script_exports_is_handed_over(script):
    first = scripts(one_view({}, script))[0]
    assert "export" not in first
    assert first.count("(globalThis.saewidgetsViews??=[])[0]=") == 1


def test_a_script_without_an_export_is_refused():
    with pytest.raises(ValueError, match="default export"):
        one_view({}, "const a = 1")


def test_text_cannot_leave_its_place():
    nasty = "</script><script>document.title='owned'</script><!--"
    script = f"const a = '{nasty}</SCRIPT>';export{{a as default}}"
    places = Places()
    text = page(places.place(SavedView({"prompt": nasty, "lone": "\ud800"}, script, nasty)), places, nasty)
    assert saved(text)[0]["state"]["prompt"] == nasty
    # The state, the view's script and the host; nothing ends before its own end.
    assert len(re.findall("<script type", text)) == len(re.findall("</script", text, re.IGNORECASE)) == 3
    assert "<!--" not in text.split("</style>")[1]
    assert text.count("</style") == 1
    text.encode()
