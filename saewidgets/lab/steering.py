"""Steering: edits of activations, what the model says under them, and vectors to steer along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from saewidgets.errors import EditError, MismatchError
from saewidgets.lab.vectors import Vectors
from saewidgets.models import Steered
from saewidgets.results import FeatureId, Generation, NextToken, Tokens
from saewidgets.results.steering_vector import Number
from saewidgets.steering.edits import Edit, as_edits, as_strengths, named
from saewidgets.steering.generation import NewToken, Sampling, Writing, next_token
from saewidgets.steering.plan import Plan, Text
from saewidgets.steering.serialize import WITH_VALUE


class Steering(Vectors):
    """The part of a :class:`saewidgets.Lab` that steers."""

    def steering(self, edits: Edit | Sequence[Edit], model: str | None = None) -> Steered:
        """A context: forward passes made in it, whoever calls them, are steered.

        Only passes that are made by the thread (or asyncio task) that entered it are; those of other threads, such as
        the worker of a view, are not. However the context is left, nothing of it stays in the model. Each pass counts
        as a text from its first token, all of it prompt; special tokens are left alone unless ``where`` names them.

        Args:
            edits: One edit, or several in their order.
            model: Name of the model; by default that of the edits' features, else the first.

        Raises:
            EditError: A strength in multiples of a maximum that is not known.
            MismatchError: A vector of another width, or edits of several models.
            UnknownNameError: There is no such SAE or model.

        Example:
            >>> with lab.steering(sw.steering.set("mid/7", 4)):  # doctest: +SKIP
            ...     logits = model(tokens)
        """
        plan = self.plan(edits, model)
        return plan.model.steered(plan.changes(Text(plan.model.special_ids)))

    def next_token(
        self, prompt: Any, edits: Edit | Sequence[Edit] = (), k: int = 20, *, model: str | None = None
    ) -> NextToken:
        """The next token's distribution, without and with edits.

        Args:
            prompt: Text, or token ids [pos].
            edits: The edits.
            k: How many tokens are listed, the likeliest under either.
            model: As for :meth:`steering`.

        Raises:
            PromptError: Empty, not text, or more ids than the context holds.

        Example:
            >>> lab.next_token("The capital of France is", sw.steering.ablate("mid/7")).kl  # doctest: +SKIP
        """
        plan = self.plan(edits, model)
        return next_token(plan.model, self._prompt(plan, prompt), plan, _whole("k", k, 1))

    def generate(
        self,
        prompt: Any,
        edits: Edit | Sequence[Edit] = (),
        max_new_tokens: int = 32,
        temperature: Number = 0.0,
        seed: int = 0,
        on_token: Callable[[NewToken], object] | None = None,
        *,
        top_p: Number = 1.0,
        stop: str | Sequence[str] = (),
        use_cache: bool = True,
        measure: bool = True,
        model: str | None = None,
    ) -> Generation:
        """Let the model write on, with edits.

        Args:
            prompt: Text, or token ids [pos].
            edits: The edits; they act on the prompt and on what is written, as their ``where`` says.
            max_new_tokens: At most how many tokens; fewer where the context ends.
            temperature: 0: the likeliest token each time.
            seed: Of the draws.
            on_token: Called with each new token; returning False ends the text, which holds what was written.
            top_p: Draw only among the likeliest tokens that together have this probability.
            stop: The text ends once it holds this, or one of these.
            use_cache: Whether keys and values are kept; the tokens are the same without, only slower.
            measure: Whether the unedited model reads the text at the end, for its log-probabilities and the KL.
            model: As for :meth:`steering`.

        Raises:
            EditError: A number out of its range.
            PromptError: Empty, not text, or more ids than the context holds.

        Example:
            >>> lab.generate("I walked to the", sw.steering.set("mid/7", 4)).text  # doctest: +SKIP
        """
        drawn = self._sampling(temperature, top_p, seed)
        writing = self._writing(self.plan(edits, model), prompt, 1, max_new_tokens, drawn, stop, measure, use_cache)
        return writing.run(on_token)[0]

    def samples(
        self, prompt: Any, edits: Edit | Sequence[Edit] = (), n: int = 4, max_new_tokens: int = 32,
        temperature: Number = 1.0, seed: int = 0, on_token: Callable[[NewToken], object] | None = None, *,
        top_p: Number = 1.0, stop: str | Sequence[str] = (), measure: bool = True, model: str | None = None,
    ) -> tuple[Generation, ...]:  # fmt: skip
        """Several texts, written as one batch; text r is the one that :meth:`generate` writes with ``seed + r``.

        Args:
            prompt: Text, or token ids [pos].
            edits: The edits.
            n: How many texts.
            max_new_tokens: As for :meth:`generate`, like all that follow.
            temperature: With 0 all texts are the same.
            seed: Of the first text.
            on_token: Called with each new token of each text; ``row`` says of which.
            top_p: Draw only among the likeliest tokens.
            stop: A text ends once it holds this.
            measure: Whether the unedited model reads the texts at the end.
            model: As for :meth:`steering`.

        Example:
            >>> [one.text for one in lab.samples("I walked to the", n=3)]  # doctest: +SKIP
        """
        drawn = self._sampling(temperature, top_p, seed)._replace(apart=True)
        rows = _whole("n", n, 1)
        return self._writing(self.plan(edits, model), prompt, rows, max_new_tokens, drawn, stop, measure).run(on_token)

    def sweep(
        self,
        prompt: Any,
        edits: Edit | Sequence[Edit],
        values: Sequence[float | int],
        max_new_tokens: int = 32,
        temperature: Number = 0.0,
        seed: int = 0,
        on_token: Callable[[NewToken], object] | None = None,
        *,
        top_p: Number = 1.0,
        stop: str | Sequence[str] = (),
        measure: bool = True,
        which: int = -1,
        model: str | None = None,
    ) -> tuple[Generation, ...]:
        """The same text at several strengths, written as one batch.

        Args:
            prompt: Text, or token ids [pos].
            edits: The edits; one of them takes each of ``values`` in place of its own.
            values: The strengths.
            max_new_tokens: As for :meth:`generate`, like all that follow.
            temperature: 0: the likeliest token each time.
            seed: Of the draws, which all texts share.
            on_token: Called with each new token of each text; ``row`` says of which.
            top_p: Draw only among the likeliest tokens.
            stop: A text ends once it holds this.
            measure: Whether the unedited model reads the texts at the end.
            which: Number of the edit that takes the values; by default the last.
            model: As for :meth:`steering`.

        Returns:
            One text a value.

        Example:
            >>> lab.sweep("I walked to the", sw.steering.set("mid/7", 1), [-4, 0, 4])  # doctest: +SKIP
        """
        listed = as_strengths(values)
        plan = self._swept(edits, model, listed, which)
        drawn = self._sampling(temperature, top_p, seed)
        return self._writing(plan, prompt, len(listed), max_new_tokens, drawn, stop, measure).run(on_token)

    def writing(
        self, prompt: Any, edits: Edit | Sequence[Edit] = (), rows: int = 1, max_new_tokens: int = 32,
        temperature: Number = 0.0, seed: int = 0, *, values: Sequence[float | int] | None = None, which: int = -1,
        top_p: Number = 1.0, stop: str | Sequence[str] = (), measure: bool = True, model: str | None = None,
    ) -> Writing:  # fmt: skip
        """What :meth:`generate`, :meth:`samples` and :meth:`sweep` run, to be run token by token.

        Args:
            prompt: Text, or token ids [pos].
            edits: The edits.
            rows: How many texts are sampled; there are as many as ``values`` where these are given.
            max_new_tokens: As for :meth:`generate`, like all that are not named here.
            temperature: 0: the likeliest token each time.
            seed: Of the first text.
            values: As for :meth:`sweep`, with ``which``.
            which: Number of the edit that takes the values.
            top_p: Draw only among the likeliest tokens.
            stop: A text ends once it holds this.
            measure: Whether the unedited model reads the texts at the end.
            model: As for :meth:`steering`.

        Example:
            >>> writing = lab.writing("I walked to the")  # doctest: +SKIP
            >>> writing.step()[0].text  # doctest: +SKIP
        """
        drawn = self._sampling(temperature, top_p, seed)
        if values is not None:
            listed = as_strengths(values)
            plan, rows = self._swept(edits, model, listed, which), len(listed)
        else:
            plan, rows, drawn = self.plan(edits, model), _whole("rows", rows, 1), drawn._replace(apart=True)
        return self._writing(plan, prompt, rows, max_new_tokens, drawn, stop, measure)

    def plan(self, edits: Any, model: str | None = None) -> Plan:
        """The edits, checked and made ready; ``plan.formulas`` and ``plan.strengths`` say what they will do.

        Args:
            edits: The edits.
            model: As for :meth:`steering`.

        Raises:
            EditError: A strength in multiples of a maximum that is not known.
            MismatchError: A vector of another width, or edits of several models.
            UnknownNameError: There is no such SAE or model.

        Example:
            >>> lab.plan(sw.steering.set("mid/7", 4)).strengths[0].absolute  # doctest: +SKIP
        """
        return self._plan(edits, model)

    # ---- what the questions above share --------------------------------------------------------------------------

    def _swept(self, edits: Any, model: str | None, values: Sequence[float | int], which: int) -> Plan:
        """The edits with a value for each row of a batch."""
        listed = as_strengths(values)
        edits = as_edits(edits)
        n_edits = len(edits)
        if not hasattr(which, "__index__") or not -n_edits <= which < n_edits:
            got, expected = (which, f"a number of an edit, below {n_edits}") if n_edits else ("no edits", "an edit")
            raise EditError("There is nothing to sweep.", got=got, expected=expected)
        plan = self._plan(edits, model, listed, which)
        if plan.ready[which].edit.operation not in WITH_VALUE:
            raise EditError(
                "This edit has no strength to sweep.", got=plan.ready[which].edit.operation,
                expected=", ".join(WITH_VALUE),
            )  # fmt: skip
        return plan

    def _plan(self, edits: Any, model: str | None, values: Sequence[float] | None = None, which: int = -1) -> Plan:
        ready = [named(edit, self.feature_id) for edit in as_edits(edits)]
        given = None if model is None else self._model(model)
        read = {self._reads[e.target.sae] for e in ready if isinstance(e.target, FeatureId)}
        if len(read | ({model} if model else set())) > 1:
            got = ", ".join(sorted(read | ({model} if model else set())))
            raise MismatchError("The edits are of several models.", got=got, expected="one model")
        chosen = given or (self.models[next(iter(read))] if read else self._model(None))
        return Plan(chosen, self.saes, ready, self.default_sae if self.saes else None, values, which)

    def _prompt(self, plan: Plan, prompt: Any) -> Tokens:
        featured = [ready.sae.prepend_bos for ready in plan.ready if ready.sae is not None]
        return plan.model.tokenize(prompt, featured[0] if featured else None)

    def _sampling(self, temperature: Any, top_p: Any, seed: Any) -> Sampling:
        given = [value for value in (temperature, top_p) if hasattr(value, "__float__")]
        if len(given) < 2 or not 0 <= float(temperature) < np.inf or not 0 < float(top_p) <= 1:
            raise EditError(
                "Tokens cannot be drawn like that.", got=f"temperature={temperature}, top_p={top_p}",
                expected="temperature >= 0, top_p above 0 and at most 1",
            )  # fmt: skip
        return Sampling(float(temperature), float(top_p), _whole("seed", seed, 0))

    def _writing(
        self, plan: Plan, prompt: Any, rows: int, max_new_tokens: Any, sampling: Sampling, stop: Any, measure: bool,
        use_cache: bool = True,
    ) -> Writing:  # fmt: skip
        stops = (stop,) if isinstance(stop, str) and stop else tuple(stop) if hasattr(stop, "__iter__") else (stop,)
        if not all(isinstance(each, str) and each for each in stops):
            raise EditError("A text cannot end there.", got=repr(stop)[:80], expected="texts of at least one character")
        most = _whole("max_new_tokens", max_new_tokens, 0)
        tokens = self._prompt(plan, prompt)
        return Writing(plan.model, tokens, plan, rows, most, sampling, stops, use_cache, measure)


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not least <= int(value) < 2**62:
        raise EditError(
            f"This is no number for {name}.", got=repr(value), expected=f"a whole number from {least}, below 2**62"
        )
    return int(value)
