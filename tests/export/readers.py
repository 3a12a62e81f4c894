"""A notebook that holds one of each live view, with labels and notes, and what its readers must see.

Some of the text is hostile: it must be shown as it is, and do nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import bleach
import nbformat

import saewidgets as sw
from saewidgets.widgets.base import LiveView
from saewidgets.widgets.side_by_side import SideBySide

FEATURE = "mid-topk-2048/336"
PROMPT = "<i>They met</i> at the Golden"
LABEL = "bridge<script>owned=1</script>"
NOTE = "Seen in <img src=x onerror=owned=2>\nand nowhere else."
AUTHOR = "<b>eve</b>"
TAG = "place<i>"
TOKEN = "Golden"
ROW = "sw.row"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# A view in a page without a kernel, once it has found that there is none.
ALONE = ".saew:is([data-state=silent], [data-state*=recorded])"

SETUP = """
import saewidgets as sw
from tests.export.readers import annotated, made

lab = annotated(sw.demo(), "notes")
"""
IN_A_ROW = f"sw.row(made(lab, 'TokenActivations'), made(lab, 'TokenActivations', prompt='The {TOKEN} Gate. {PROMPT}'))"
CHART = f"lab.specificity({FEATURE!r}, '{TOKEN}|<img src=x onerror=owned=4>').chart()"


def annotated(lab: Any, folder: str) -> Any:
    """The lab, with a label, a note, a tag, a star and a rating of one feature."""
    lab.annotations = sw.annotations.AnnotationStore(folder, AUTHOR)
    lab.annotate(FEATURE, label=LABEL, note=NOTE, tags=[TAG], stars=True)
    lab.rate(FEATURE, 3)
    return lab


def made(lab: Any, name: str, **more: Any) -> Any:
    """A view. It gets those of its arguments that are known here, so that a new one is made without a word about it."""
    known = {"lab": lab, "prompt": PROMPT, "target": " Gate", "feature": FEATURE, "layer": 1, "max_new_tokens": 4}
    known |= {"edits": [sw.steering.set(more.get("feature", FEATURE), 1)], **more}
    view = getattr(sw, name)
    return view(**{key: known[key] for key in inspect.signature(view).parameters if key in known})


def view_names() -> tuple[str, ...]:
    """The public live views, and a row of two."""
    public = {name: getattr(sw, name) for name in sw.__all__}
    kinds = (LiveView, SideBySide)
    return (*(name for name, one in public.items() if isinstance(one, type) and issubclass(one, kinds)), ROW)


def cells() -> tuple[str, ...]:
    """The code of the notebook: the lab; then a cell for each of ``view_names``; last a chart."""
    return SETUP, *(IN_A_ROW if name == ROW else f"made(lab, {name!r})" for name in view_names()), CHART


def squeezed(text: str) -> str:
    """Text without spaces and line ends, and without the dots that stand for them."""
    return re.sub(r"[\s·↵\u200b]+", "", text)


def wanted(name: str) -> dict[str, str]:
    """What a view must show of the tokens, the label and the note."""
    view = getattr(sw, name, None)
    parts = inspect.signature(view).parameters if view else {"prompt": None, "feature": None}
    of_a_prompt = {"prompt", "feature"} <= parts.keys() and name != "FeatureDashboard"
    found = {"tokens": PROMPT if of_a_prompt else TOKEN}
    if "feature" in parts:
        lines = NOTE.split("\n")
        found |= {"label": LABEL, **{f"note, line {n}": line for n, line in enumerate(lines, 1)}}
    return found


def lacking(name: str, text: str) -> list[str]:
    """What a reader of the visible text does not find of it."""
    shown = squeezed(text)
    return [what for what, words in wanted(name).items() if squeezed(words) not in shown]


def outputs_of_cell(path: Any, n: int) -> nbformat.NotebookNode:
    """A notebook with one of the cells alone."""
    found = nbformat.read(path, as_version=4)
    found.cells = [found.cells[n]]
    return found


# ---- GitHub ----------------------------------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    return text.split()


# What https://github.com/gjtorikian/html-pipeline documents: no class, no style, no script.
ELEMENTS = _words(
    "a abbr b bdo blockquote br caption cite code dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 "
    "hr i img ins kbd li mark ol p pre q rp rt ruby s samp small span strike strong sub summary sup table tbody td "
    "tfoot th thead time tr tt ul var wbr"
)
ATTRIBUTES = {
    "*": _words(
        "align alt border cellpadding cellspacing colspan color dir headers height lang name open role rowspan rules "
        "scope size span start summary tabindex title type valign value width"
    ),
    "a": ["href"],
    "img": ["src", "longdesc"],
}


def as_on_github(html: str) -> str:
    """HTML as a reader of a notebook on GitHub gets it."""
    unscripted = re.sub(r"<script\b.*?(</script\s*>|$)", "", html, flags=re.DOTALL | re.IGNORECASE)
    return bleach.clean(unscripted, set(ELEMENTS), ATTRIBUTES, {"http", "https", "mailto"}, strip=True)


def github_page(outputs: list[Mapping[str, Any]]) -> str:
    """The outputs of a cell as GitHub shows them: HTML, sanitised, else text; live views are not shown."""
    parts = []
    for output in outputs:
        data = output.get("data", {})
        if "text/html" in data:
            parts.append(as_on_github(data["text/html"]))
        elif WIDGET_VIEW not in data:
            parts.append(f"<pre>{bleach.clean(str(data.get('text/plain', '')), tags=[])}</pre>")
    return f'<!doctype html><meta charset="utf-8"><body>{"".join(parts)}'
