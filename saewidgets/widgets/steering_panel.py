"""The live view in which a model is steered: edits with sliders, the next token, texts side by side, side effects."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import traitlets

from saewidgets.errors import EditError
from saewidgets.results import FeatureId, SteeringComparison
from saewidgets.results.steering_vector import Number
from saewidgets.steering.serialize import WITH_VALUE
from saewidgets.views import steering_comparison_html, steering_comparison_text
from saewidgets.views.remarks import Remark
from saewidgets.views.steering_svg import steering_comparison_svg
from saewidgets.widgets.lab_view import escaped, sae_named
from saewidgets.widgets.pictures import drawn
from saewidgets.widgets.steering_edits import Edits, SAEOrNone, new_edit, vectors_by_name
from saewidgets.widgets.steering_preset import code_of, read_file
from saewidgets.widgets.steering_recorded import SteeringRecorded
from saewidgets.widgets.steering_wire import OPERATIONS, clean, where_text
from saewidgets.widgets.token_notes import said_of_prompt
from saewidgets.widgets.traits import Feature, Prompt, Shown

FORMER = "\nWhat follows is the last result that went well."
NOTHING = "Nothing has been run yet."
MOST_SEEDS = 2**53


class SteeringPanel(SteeringRecorded, stem="steering_panel"):
    """Edits of a model with a slider each, and what the model says with them beside what it says without.

    The next token follows while a slider moves; texts without and with the edits are written side by side, token by
    token, and the latest move wins. Strengths are multiples of the feature's reference maximum, with the absolute
    value beside; where no index knows the maximum it is measured on the neutral texts. The model itself is never
    changed, and nothing steers the code of a cell. What cannot be computed shows its error in the view, and the view
    goes on working.

    Args:
        lab: Where the model and the SAEs are.
        prompt: The text that is continued.
        edits: What is edited at first, one edit or a list; see :mod:`saewidgets.steering`.
        feature: The feature that the view offers to add: ``"sae/123"``, 123 or a FeatureId.
        sae: Name of the SAE that features are searched in; by default that of ``feature``, else the first in the lab.
        vectors: Steering vectors that may be added, a list or a dict by name.
        neutral_texts: Texts on which the side effect is measured; by default ``lab.neutral_texts``.
        max_new_tokens: Length of the texts, 1 to 256.
        temperature: 0 for the likeliest token each time, up to 5.
        top_p: Draw only among the likeliest tokens that together have this probability.
        seed: Of the first text.
        samples: How many pairs of texts, 1 to 8, with seeds seed, seed + 1, ...; one where the temperature is 0.
        k: How many next tokens are shown.
        live: Whether texts are written anew after each change; False: only by :meth:`generate`.

    Raises:
        EditError: What is given is no edit, no vector or no number that can be used.
        UnknownNameError: The lab holds no such SAE.
        FeatureIndexError: The SAE has no such feature.
        TypeError: An argument that does not exist.

    Example:
        >>> import saewidgets as sw
        >>> panel = sw.SteeringPanel(sw.demo(), "I walked to the", sw.steering.set(7, 4))  # doctest: +SKIP
        >>> panel.result.steered[0].text  # doctest: +SKIP
    """

    prompt = Prompt(help="The text that is continued.").tag(sync=True)
    sae = SAEOrNone("", help="Name of the SAE in which features are searched and bare numbers are meant.").tag(
        sync=True
    )
    feature = Feature("", help="The feature that the view offers to add, 'sae/123', or ''.").tag(sync=True)
    max_new_tokens = traitlets.Int(32, min=1, max=256, help="At most how many tokens each text has.").tag(sync=True)
    temperature = traitlets.Float(0.0, min=0, max=5, help="0: the likeliest token each time.").tag(sync=True)
    top_p = traitlets.Float(
        1.0, min=0.001, max=1, help="Draw only among the likeliest tokens that together have this probability."
    ).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=MOST_SEEDS, help="Seed of the first text.").tag(sync=True)
    samples = traitlets.Int(1, min=1, max=8, help="How many pairs of texts; one where the temperature is 0.").tag(
        sync=True
    )
    k = traitlets.Int(10, min=1, max=50, help="How many next tokens are shown.").tag(sync=True)
    live = traitlets.Bool(True, help="Whether texts are written anew after each change; else by generate().").tag(
        sync=True
    )
    edits: Any = Edits((), help="The edits in their order, a tuple of saewidgets.steering.Edit. Assign a new list.")
    result: Any = Shown(
        None,
        read_only=True,
        help="The SteeringComparison on the screen, None until one has gone well. Reading waits for the view's work.",
    )
    _operations = traitlets.List(OPERATIONS, help="Name, formula, whether it has a number.").tag(sync=True)
    _edits = traitlets.List(help="The edits (steering_wire.py).").tag(sync=True)
    _bars = traitlets.Dict(help="Prompt and next token.").tag(sync=True)
    _texts = traitlets.Dict(help="Both texts of each sample.").tag(sync=True)
    _side = traitlets.Dict(help="The side effect on neutral texts.").tag(sync=True)
    _sweep = traitlets.Dict(help="One text a strength.").tag(sync=True)
    _code = traitlets.Unicode("", help="The edits as code.").tag(sync=True)
    _saes = traitlets.List(help="Names of the lab's SAEs.").tag(sync=True)
    _vectors = traitlets.List(help="Names of the vectors.").tag(sync=True)

    def __init__(
        self,
        lab: Any,
        prompt: str = "",
        edits: Any = (),
        *,
        feature: FeatureId | str | int | None = None,
        sae: str | None = None,
        vectors: Any = None,
        neutral_texts: Any = None,
        max_new_tokens: int = 32,
        temperature: Number = 0.0,
        top_p: Number = 1.0,
        seed: int = 0,
        samples: int = 1,
        k: int = 10,
        live: bool = True,
        **unknown: Any,
    ) -> None:
        self.lab = lab
        self.vectors = vectors_by_name(vectors)
        self._changing, self._fresh = threading.RLock(), (f"e{n}" for n in count(1))
        self._prepare(neutral_texts)
        chosen = sae or sae_named(feature) or next(iter(lab.saes), "")
        super().__init__(
            unknown, prompt=prompt, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed,
            samples=samples, k=k, live=live, **({"sae": self._known_sae(chosen)} if chosen else {}),
        )  # fmt: skip
        self._saes = [clean(name) for name in lab.saes]
        self.feature = feature
        self.edits = edits
        self._show_code()
        self._ready = True
        if prompt:
            self._ask("bars", "texts")

    @traitlets.validate("temperature", "top_p")
    def _finite_number(self, proposal: Any) -> float:
        if not math.isfinite(proposal["value"]):
            raise EditError("This is no number.", got=proposal["value"], expected="a finite number")
        return proposal["value"]

    # ---- what may be done with it ---------------------------------------------------------------------------------

    def add(self, target: Any, value: Number | None = None, operation: str | None = None) -> None:
        """Add an edit behind the others.

        Args:
            target: A feature, a SteeringVector, or the name of one that the panel was given.
            value: Strength; by default 4 maxima of a feature, one length of a vector, ``scale`` by 2.
            operation: Which formula; by default "set" for a feature, "add" for a vector.

        Raises:
            EditError: No such operation, or a number that is not finite.
            FeatureIndexError: The SAE has no such feature.
            UnknownNameError: The lab holds no such SAE.
        """
        if isinstance(target, str) and target in self.vectors:
            target = self.vectors[target]
        with self._changing:
            self.edits = (*self.edits, new_edit(target, value, operation))

    def remove(self, index: int) -> None:
        """Take one edit out.

        Args:
            index: Its place, from 0; -1 is the last.

        Raises:
            EditError: There is no such edit.
        """
        with self._changing:
            place = self._place(index)
            self.edits = self.edits[:place] + self.edits[place + 1 :]

    def generate(self) -> None:
        """Write the texts; where they are on the screen already, the model is asked anew for everything."""
        self._generate()

    def sweep(self, index: int = -1) -> None:
        """Write the text at nine strengths of one edit, from -10 to 10, as one batch.

        Args:
            index: Place of the edit, from 0; -1 is the last.

        Raises:
            EditError: There is no such edit, or it has no strength.
        """
        place = self._place(index)
        key, edit = self._held[place]
        if edit.operation not in WITH_VALUE:
            raise EditError("This edit has no strength to sweep.", got=edit.operation, expected=", ".join(WITH_VALUE))
        self._post_sweep(key, place)

    def save(self, path: str | Path) -> Path:
        """Write edits, prompt and sampling as JSON; vectors travel with their numbers.

        Args:
            path: Where to; an existing file is replaced.

        Returns:
            The path.
        """
        Path(path).write_text(self._preset(), encoding="utf-8")
        return Path(path)

    def load(self, path: str | Path) -> None:
        """Take over what :meth:`save` wrote; a file that cannot be used changes nothing.

        Raises:
            EditError: Not such a file, or one of more than 10 MB.
            FeatureIndexError: An SAE has no such feature.
            UnknownNameError: The lab holds no such SAE.
        """
        self._load(read_file(path))

    @property
    def code(self) -> str:
        """Python that makes the same edits and compares, on a lab named ``lab``."""
        return code_of(self.edits, self.prompt, self._sampling()._asdict(), self.k, self._vector_name)

    # ---- without a kernel ----------------------------------------------------------------------------------------

    def static_html(self) -> str:
        """The edits, both texts, the next token, the side effect and the sweep."""
        result = self.result
        if result is None:
            return f"<p>{escaped(self.error or NOTHING)}</p>"
        problem = f"<p>{escaped(f'{self.error}{FORMER}')}</p>" if self.error else ""
        return problem + steering_comparison_html(result, self.k, *self._words(result))

    def static_text(self) -> str:
        """The same as plain text."""
        result = self.result
        if result is None:
            return self.error or NOTHING
        problem = f"{self.error}{FORMER}\n" if self.error else ""
        return problem + steering_comparison_text(result, self.k, *self._words(result))

    def static_svg(self) -> str:
        """The edits, the next token and both texts as an SVG drawing."""
        return steering_comparison_svg(drawn(self.result, self.error), self.k, self._places(), self._remarks())

    def _words(self, result: SteeringComparison) -> tuple[Sequence[str], Sequence[Remark], dict[int, Remark]]:
        """Where the edits act, and what people say of their features and of the tokens of the prompt."""
        typed = self._answered.prompt if self._answered is not None else ""
        of_tokens = said_of_prompt(self.lab, result.prompt_tokens, result.next_token.model, typed)
        return self._places(), self._remarks(), of_tokens

    def _places(self) -> tuple[str, ...]:
        """Where each of the edits on the screen acts, as far as that is not everywhere."""
        edits = self._answered.edits if self._answered is not None else ()
        return tuple("" if edit.where == "all" else where_text(edit.where) for edit in edits)
