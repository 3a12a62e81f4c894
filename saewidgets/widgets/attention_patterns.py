"""The live view of which tokens the heads of a layer look at."""

from __future__ import annotations

from typing import Any

import traitlets

from saewidgets.errors import HookPointError, MismatchError, TokenError, UnknownNameError
from saewidgets.results import Attention
from saewidgets.results.attention import known_layer
from saewidgets.results.numbers import whole_number
from saewidgets.views import attention_html, attention_svg, attention_text
from saewidgets.views.remarks import Remark
from saewidgets.widgets.attention_wire import pack
from saewidgets.widgets.base import LiveView
from saewidgets.widgets.circuitsvis_picture import script_message
from saewidgets.widgets.lab_view import FORMER, escaped
from saewidgets.widgets.pictures import drawn
from saewidgets.widgets.token_notes import said_of_prompt
from saewidgets.widgets.traits import Position, Prompt, Shown
from saewidgets.widgets.worker import Job, worker_of


class Layer(traitlets.TraitType[Any, Any]):
    """A layer of the model."""

    def validate(self, obj: Any, value: Any) -> int:
        """Raise HookPointError where there is no such layer."""
        return obj._known_layer(value)


class Head(traitlets.TraitType[Any, Any]):
    """A head of the layer, or None."""

    def validate(self, obj: Any, value: Any) -> int | None:
        """Raise MismatchError where there is no such head."""
        return obj._known_head(value)


class ModelName(traitlets.TraitType[Any, Any]):
    """The name of a model that the lab holds."""

    def validate(self, obj: Any, value: Any) -> str:
        """Raise UnknownNameError for any other value."""
        return obj._known_model(value)


class AttentionPatterns(LiveView, stem="attention_patterns"):
    """A prompt box, the attention patterns of a layer, and what one token looks at.

    Where the package circuitsvis is installed its picture is shown, its script once a page; elsewhere, for long
    prompts, and in a page without a kernel the view draws heat maps of its own. ``token`` means what it means in
    :class:`TokenActivations`: link the two with ``ipywidgets.link((tokens, "token"), (attention, "token"))``.

    Args:
        lab: Where the model is.
        prompt: The text.
        layer: Number of the layer, from 0 or, below 0, from the last.
        head: The head in focus; None: all, each pair with its largest weight.
        token: Position of the token whose attention is shown.
        model: Name of the model; by default the first.

    Raises:
        UnknownNameError: The lab holds no such model.
        HookPointError: The layer is no whole number; one that the model does not have is shown as an error in the view.
        MismatchError: The layer has no such head.
        TokenError: The prompt has no such position.
        TypeError: An argument that does not exist.

    Example:
        >>> import saewidgets as sw
        >>> view = sw.AttentionPatterns(sw.demo(), "The capital of France is Paris.", 1)  # doctest: +SKIP
        >>> view.head, view.result.heads()[0]  # doctest: +SKIP
    """

    prompt = Prompt(help="The text that is run.").tag(sync=True)
    layer = Layer(0, help="Number of the layer, from 0; below 0 from the last. Assigning runs the prompt again.").tag(
        sync=True
    )
    head = Head(None, help="The head in focus, from 0, or None: all heads, each pair with its largest weight.").tag(
        sync=True
    )
    token = Position(None, help="Position of the chosen token, from 0 (BOS counts), or None.").tag(sync=True)
    model = ModelName("", help="Name of the model in the lab; assigning another one runs the prompt again.").tag(
        sync=True
    )
    result: Any = Shown(
        None,
        read_only=True,
        help="The Attention on the screen, None until a prompt has run well. Reading waits for the view's work.",
    )
    _data = traitlets.Bytes(b"", help="The result, packed (attention_wire.py).").tag(sync=True)

    def __init__(
        self,
        lab: Any,
        prompt: str = "",
        layer: Any = 0,
        *,
        head: Any = None,
        token: Any = None,
        model: Any = None,
        **unknown: Any,
    ) -> None:
        self.lab = lab
        self._ready = False
        self._typed = ""  # the prompt of what is on the screen
        name = self._known_model(next(iter(lab.models), "") if model is None else model)
        super().__init__(unknown, prompt=prompt, layer=layer, model=name)
        self._ready = True
        self._run()
        self._wait()
        if self.layer < 0 and self.result is not None:
            self._ready = False  # the same layer by its other number
            self.layer = self.result.layer
            self._ready = True
        if head is not None:
            self.head = head
        if token is not None:
            self.token = token

    # ---- what may be assigned ------------------------------------------------------------------------------------

    def _known_model(self, name: Any) -> str:
        if not isinstance(name, str) or name not in self.lab.models:
            known = ", ".join(map(repr, self.lab.models)) or "a model in the lab"
            raise UnknownNameError("The lab has no model of that name.", got=repr(name)[:80], expected=known)
        return name

    def _known_layer(self, layer: Any) -> int:
        result = self._trait_values.get("result")
        if result is not None and result.model == self.model:
            return known_layer(layer, result.n_layers)
        number = whole_number(layer)
        if number is None:
            raise HookPointError("The model has no such layer.", got=repr(layer)[:80], expected="a whole number")
        return number

    def _known_head(self, head: Any) -> int | None:
        if head is None:
            return None
        # While a prompt is under way its heads are not known; _show drops a head or token that it does not have.
        number, n = whole_number(head), self._size("n_heads")
        if number is None or number < 0 or (n is not None and number >= n):
            expected = f"a whole number {_range(n)}, or None for all heads"
            raise MismatchError("The layer has no such head.", got=repr(head)[:80], expected=expected)
        return number

    def _known_position(self, position: Any) -> int | None:
        if position is None:
            return None
        number, n = whole_number(position), self._size("__len__")
        if number is None or number < 0 or (n is not None and number >= n):
            expected = f"a whole number {_range(n)}"
            raise TokenError("The prompt has no such position.", got=repr(position)[:80], expected=expected)
        return number

    def _size(self, name: str) -> int | None:
        """How many heads or tokens there are; None while it is not known."""
        if not all(job.finished for job in self._jobs.values()):
            return None
        result = self._trait_values.get("result")
        if result is None:
            return 0
        return len(result) if name == "__len__" else result.n_heads

    @traitlets.observe("prompt", "layer", "model")
    def _input_changed(self, _: Any) -> None:
        self._run()

    # ---- running -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Post the prompt to the model's worker."""
        if not self._ready:
            return
        prompt, layer, model = self.prompt, self.layer, str(self.model)

        def work(job: Job) -> None:
            result = self.lab.attention(prompt, layer, model=model)
            job.check()
            self._show(result, prompt)

        self._post(worker_of(_anchor(self.lab, model)), "attention", work)

    def _show(self, result: Attention, prompt: str) -> None:
        """Put a result on the screen; runs on the worker."""
        self._data, self._typed = pack(result, prompt=prompt), prompt
        self.set_trait("result", result)
        if self.token is not None and self.token >= len(result):
            self.token = None
        if self.head is not None and self.head >= result.n_heads:
            self.head = None

    # ---- what the browser may ask --------------------------------------------------------------------------------

    def _op_set(self, message: dict[str, Any]) -> None:
        """Assign traits; each is checked as if it were assigned in Python."""
        for name in ("prompt", "layer", "head", "token"):
            if name in message:
                setattr(self, name, message[name])

    def _op_run(self, _: dict[str, Any]) -> None:
        self._run()

    def _op_script(self, _: dict[str, Any]) -> None:
        """A page that has no script of circuitsvis yet asks for it; one answer serves all views of the page."""
        self.send({"op": "script", **script_message()})

    # ---- without a kernel ----------------------------------------------------------------------------------------

    def static_html(self) -> str:
        """The tokens with those marked that the chosen one looks at, a table of the heads, and their patterns."""
        if self.result is None:
            return f"<p>{escaped(self.error or 'Nothing has been run yet.')}</p>"
        problem = f"<p>{escaped(f'{self.error}{FORMER}')}</p>" if self.error else ""
        return problem + attention_html(self.result, head=self.head, token=self.token, of_tokens=self._remarks())

    def static_text(self) -> str:
        """The same as plain text."""
        if self.result is None:
            return self.error or "Nothing has been run yet."
        problem = f"{self.error}{FORMER}\n" if self.error else ""
        return problem + attention_text(self.result, head=self.head, token=self.token, of_tokens=self._remarks())

    def static_svg(self) -> str:
        """The pattern of the head in focus with its tokens, or those of all heads, as an SVG drawing."""
        return attention_svg(drawn(self.result, self.error), head=self.head)

    def _remarks(self) -> dict[int, Remark]:
        """What people say of the tokens on the screen."""
        return said_of_prompt(self.lab, self.result.prompt_tokens, self.result.model, self._typed)


def _range(n: int | None) -> str:
    return ">= 0" if n is None else f"in 0..{n - 1}"


def _anchor(lab: Any, model: str) -> Any:
    """What the worker of a model belongs to; the model is not built for it where that can be told."""
    return lab.anchor_of_model(model) if hasattr(lab, "anchor_of_model") else lab.models[model]
