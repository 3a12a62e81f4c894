import base64
import hashlib
import json

from saewidgets.widgets import TokenActivations
from saewidgets.widgets.page import page
from tests.widgets.fake_lab import FakeLab


def between(text, start, end):
    """What stands between two marks."""
    return text.split(start)[1].split(end)[0]


def saved(text):
    """The state in a page."""
    return json.loads(between(text, 'id="saew-state">', "</script>"))


def test_the_state_is_all_that_the_script_reads(tmp_path):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    text = view.to_html(tmp_path / "view.html").read_text()
    state = saved(text)["state"]
    assert base64.b64decode(state["_data"]) == view._data
    assert (state["prompt"], state["feature"]) == ("the Golden Gate", view.feature)
    assert saved(text)["script"] == view._esm
    assert str(view._css) in text


def test_the_twin_is_in_the_page(tmp_path):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    assert view.static_html() in view.to_html(tmp_path / "view.html").read_text()


def test_only_our_script_may_run_and_nothing_be_fetched():
    text = page({}, "export default {}", "", "", "x")
    host = between(text, '<script type="module">', "</script>")
    digest = base64.b64encode(hashlib.sha256(host.encode()).digest()).decode()
    policy = between(text, 'Content-Security-Policy" content="', '"')
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}' blob:;" in policy
    assert "http" not in text.replace("http-equiv", "")


def test_text_cannot_leave_its_place():
    nasty = "</script><script>document.title='owned'</script><!--"
    text = page({"prompt": nasty, "lone": "\ud800"}, nasty, "", "", nasty)
    assert saved(text)["state"]["prompt"] == nasty
    assert text.count("<script") == 2
    assert "<!--" not in text
    text.encode()
