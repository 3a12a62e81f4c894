"""What people say of the tokens of a prompt, for the static pictures of views that show one."""

from __future__ import annotations

from typing import Any

from saewidgets.results import Tokens
from saewidgets.views.remarks import Remark


def said_of_prompt(lab: Any, tokens: Tokens, model: str, typed: str) -> dict[int, Remark]:
    """What people say of the tokens of a prompt, by position.

    Args:
        lab: Keeps the annotations; one that keeps none has none.
        tokens: The prompt.
        model: Name of the model that reads it.
        typed: The text as typed, where special tokens in it have not become others; what is said of it goes first.
    """
    store = getattr(lab, "annotations", None)
    if store is None or not len(store):
        return {}
    about = [one for one in store.annotations("token") if one.target.model == model and (one.label or one.note)]
    said: dict[int, Remark] = {}
    for text in (tokens.text, typed):
        for one in about:
            if one.target.prompt == text and one.target.position is not None:
                said[one.target.position] = Remark(one.label or "", one.note or "")
    return said
