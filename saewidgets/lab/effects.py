"""What steering does, side by side with what the model says without it, and to texts that it is not meant for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from saewidgets.errors import EditError
from saewidgets.lab.steering import Steering, _whole
from saewidgets.results import Generation, NextToken, SideEffect, SteeringComparison, Tokens
from saewidgets.results.steering_vector import Number
from saewidgets.steering.edits import Edit, as_edits, as_strengths
from saewidgets.steering.generation import Sampling, Writing, next_token
from saewidgets.steering.plan import Plan
from saewidgets.steering.preview import Preview
from saewidgets.steering.side_effect import NEUTRAL_TEXTS, NeutralTexts, everywhere


class LabPreview:
    """One prompt, run once, to be asked about many edits; made by ``lab.preview``."""

    def __init__(self, lab: Steering, preview: Preview) -> None:
        self._lab, self._preview = lab, preview

    @property
    def tokens(self) -> Tokens:
        """The prompt."""
        return self._preview.tokens

    def next_token(self, edits: Edit | Sequence[Edit] = (), k: int = 20) -> NextToken:
        """What ``lab.next_token(prompt, edits, k)`` gives, within rounding; without edits that move it exactly."""
        plan = self._lab.plan(edits, self._preview.model.name)
        return self._preview.next_token(plan, _whole("k", k, 1))


class Effects(Steering):
    """The part of a :class:`saewidgets.Lab` that compares a steered model with itself."""

    _neutral_texts: Sequence[Any] | Callable[[], Sequence[Any]] = NEUTRAL_TEXTS

    @property
    def neutral_texts(self) -> tuple[Any, ...]:
        """Texts, or lists of token ids, on which side effects are measured where no others are given; may be set.

        Plain English sentences by default; take texts of the kind that your model is used on.
        """
        if callable(self._neutral_texts):
            self._neutral_texts = tuple(self._neutral_texts())
        return tuple(self._neutral_texts)

    @neutral_texts.setter
    def neutral_texts(self, texts: Any) -> None:
        if isinstance(texts, str | bytes) or not hasattr(texts, "__len__") or not len(texts):
            raise EditError("These are no neutral texts.", got=repr(texts)[:80], expected="a list of texts")
        self._neutral_texts = tuple(texts)

    def neutral(self, texts: Any = None, model: str | None = None) -> NeutralTexts:
        """Neutral texts whose distributions without edits are kept, to measure many edits on.

        Args:
            texts: Texts, or lists of token ids; by default :attr:`neutral_texts`.
            model: Name of the model; by default that of the default SAE.

        Example:
            >>> lab.neutral().under(lab.plan(sw.steering.ablate("mid/7"))).kl  # doctest: +SKIP
        """
        read = self._model(model)
        return NeutralTexts(read, self.neutral_texts if texts is None else texts)

    def preview(self, prompt: Any, sae: str | None = None, *, model: str | None = None) -> LabPreview:
        """One prompt, run once without edits, to be asked about many; :meth:`next_token` with the pass kept.

        Only the blocks above the lowest activation that an edit moves are run for each question.

        Args:
            prompt: Text, or token ids [pos].
            sae: Name of the SAE that says whether BOS is put in front; by default the first added.
            model: Name of the model; by default that of the SAE.

        Example:
            >>> preview = lab.preview("The capital of France is")  # doctest: +SKIP
            >>> [preview.next_token(sw.steering.set("mid/7", v)).kl for v in (1, 2, 4)]  # doctest: +SKIP
        """
        held = self.saes[self.sae_name(sae)] if self.saes else None
        of_sae = self._model(None) if sae is None else self.model_of(sae)
        read = of_sae if model is None else self._model(model)
        tokens = read.tokenize(prompt, None if held is None else held.prepend_bos)
        return LabPreview(self, Preview(read, tokens))

    def side_effect(self, edits: Edit | Sequence[Edit], texts: Any = None, *, model: str | None = None) -> SideEffect:
        """How much the model says other things of texts that the edits are not meant for.

        The texts are read, not continued, so that edits of the prompt or of the continuation only act on all of them.

        Args:
            edits: The edits.
            texts: Texts, or lists of token ids; by default :attr:`neutral_texts`.
            model: As for :meth:`steering`.

        Raises:
            EditError: No texts.

        Example:
            >>> lab.side_effect(sw.steering.set("mid/7", 4)).kl  # doctest: +SKIP
        """
        plan = self.plan(everywhere(as_edits(edits)), model)
        return NeutralTexts(plan.model, self.neutral_texts if texts is None else texts, keep=False).under(plan)

    def compare_steering(
        self,
        prompt: Any,
        edits: Edit | Sequence[Edit],
        max_new_tokens: int = 32,
        temperature: Number = 0.0,
        seed: int = 0,
        samples: int = 1,
        *,
        top_p: Number = 1.0,
        k: int = 20,
        values: Sequence[float | int] = (),
        which: int = -1,
        side_effect: bool = True,
        texts: Any = None,
        model: str | None = None,
    ) -> SteeringComparison:
        """What the model says with edits beside what it says without: next token, texts, side effect.

        Args:
            prompt: Text, or token ids [pos].
            edits: The edits.
            max_new_tokens: At most how many tokens each text has.
            temperature: 0: the likeliest token each time.
            seed: Of the first pair of texts; both of a pair have the same draws.
            samples: How many pairs.
            top_p: Draw only among the likeliest tokens.
            k: How many next tokens are listed.
            values: Strengths that one of the edits is tried at, too.
            which: Number of that edit.
            side_effect: Whether the side effect is measured.
            texts: Neutral texts; by default :attr:`neutral_texts`.
            model: As for :meth:`steering`.

        Example:
            >>> lab.compare_steering("I walked to the", sw.steering.set("mid/7", 4)).steered[0].text  # doctest: +SKIP
        """
        plan, drawn = self.plan(edits, model), self._sampling(temperature, top_p, seed)
        tokens = self._prompt(plan, prompt)  # for both, as an SAE may say that a prompt begins with BOS
        most, rows = _whole("max_new_tokens", max_new_tokens, 0), _whole("samples", samples, 1)

        def written(plan: Plan, rows: int, drawn: Sampling) -> tuple[Generation, ...]:
            return Writing(plan.model, tokens, plan, rows, most, drawn).run()

        listed = as_strengths(values) if not hasattr(values, "__len__") or len(values) else []
        swept = self._swept(edits, model, listed, which) if listed else None
        return SteeringComparison(
            next_token=next_token(plan.model, tokens, plan, _whole("k", k, 1)),
            base=written(self.plan((), plan.model.name), rows, drawn._replace(apart=True)),
            steered=written(plan, rows, drawn._replace(apart=True)),
            strengths=plan.strengths,
            side_effect=self.side_effect(edits, texts, model=plan.model.name) if side_effect else None,
            values=tuple(listed),
            sweep=written(swept, len(listed), drawn) if swept is not None else (),
        )
