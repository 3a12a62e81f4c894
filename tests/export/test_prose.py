"""Markdown and code: what is kept, formulas as they are written, images in their place."""

from __future__ import annotations

import base64
import re

import pytest

from saewidgets.export import prose
from saewidgets.export.prose import code_html, markdown_html

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nmore").decode()


def test_markdown_of_every_kind():
    source = "# A *title*\n\n- [x] done\n- [ ] to do\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n~~no~~ `x<y` [l](02.ipynb#p)"
    made = markdown_html(source, {}, None)
    for part in (
        "<em>title</em></h1>",
        "☑ done",
        "☐ to do",
        "<td>1</td>",
        "<del>no</del>",
        "x&lt;y",
        'href="02.ipynb#p"',
    ):
        assert part in made
    assert '<h1 id="A-title">' in made


@pytest.mark.parametrize(
    "formula", ["$a_1 * b_2 * c$", "$$\\sum_i x_i < y$$", "\\begin{align}a_1 &= b_2*c*\\end{align}"]
)
def test_a_formula_stays_as_it_is_written(formula):
    made = markdown_html(f"so {formula} is", {}, None)
    assert re.sub("<[^>]*>", "", made).replace("&lt;", "<").replace("&amp;", "&") == f"so {formula} is"
    assert "<em>" not in made


def test_attached_images_become_part_of_the_page():
    attached = {
        "a.png": {"image/png": PNG},
        "bad.png": {"text/html": "PHNjcmlwdD4="},
        "worse": 3,
        "list": {"image/gif": ["R0", "lG"]},
    }
    made = markdown_html('![an "x"](attachment:a.png) ![](attachment:list)', attached, None)
    assert f'<img src="data:image/png;base64,{PNG}" alt="an &quot;x&quot;">' in made
    assert 'src="data:image/gif;base64,R0lG"' in made
    for name in ("bad.png", "worse", "missing"):
        assert "<img" not in markdown_html(f"![x](attachment:{name})", attached, None)


def test_images_beside_the_notebook_and_no_others(tmp_path):
    folder = tmp_path / "here"
    (folder / "figures").mkdir(parents=True)
    for path in (folder / "figures" / "a.png", tmp_path / "secret.png", folder / "key.txt"):
        path.write_bytes(base64.b64decode(PNG))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert f"base64,{PNG}" in markdown_html("![a](figures/a.png)", {}, folder)
    absolute = tmp_path / "secret.png"
    for url in ("../secret.png", "link.png", "key.txt", "no.png", f"{absolute}", "https://x.example/a.png", "a\0.png"):
        made = markdown_html(f"![a]({url})", {}, folder)
        assert "<img" not in made, url
    assert "<img" not in markdown_html("![a](figures/a.png)", {}, None)
    assert '<a href="https://x.example/a.png">' in markdown_html("![a](https://x.example/a.png)", {}, folder)


def test_an_image_inside_of_an_attribute_stays_text():
    source = '<p title="![x](attachment:a)">b</p>\n\na ![x"onerror="x](attachment:a)'
    made = markdown_html(source, {"a": {"image/png": PNG}}, None)
    assert made.count("<img") == 1
    assert 'alt="x&quot;onerror=&quot;x"' in made


def test_what_breaks_the_parser_is_shown_as_text(monkeypatch):
    assert markdown_html("x" * (prose.LONGEST + 1), {}, None).startswith("<pre>xxx")
    monkeypatch.setattr(prose, "_renderer", lambda: 1 / 0)
    assert markdown_html("a <b>", {}, None) == "<pre>a &lt;b&gt;</pre>"


@pytest.mark.parametrize(
    "source", ["[" * 5000, "> " * 3000 + "a", "*" * 5000, "- " * 3000 + "a", "$" * 5000, "|" * 5000]
)
def test_what_is_nested_ends(source):
    assert markdown_html(source, {}, None)


def test_code_is_coloured_and_escaped():
    made = code_html("%matplotlib inline\nimport x  # <b>\n!ls", "python")
    assert '<span class="kn">import</span>' in made
    assert "# &lt;b&gt;" in made
    assert re.sub("<[^>]*>", "", made) == "%matplotlib inline\nimport x  # &lt;b&gt;\n!ls"
    assert code_html("a < b", "nonsense/../") == "a &lt; b"
    assert code_html("<" * (prose.LONGEST + 1), "python").startswith("&lt;&lt;")
