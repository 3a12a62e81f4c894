"""Steering: edits of activations, what the model says under them, and vectors to steer along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from saewidgets.analysis.activations import activations
from saewidgets.errors import EditError, MismatchError, UnknownNameError
from saewidgets.lab.holdings import Holdings
from saewidgets.models import LanguageModel, Steered
from saewidgets.results import FeatureId, Generation, NextToken, SteeringVector, Tokens
from saewidgets.results.steering_vector import Number
from saewidgets.steering.edits import Edit
from saewidgets.steering.generation import NewToken, Sampling, generate, next_token
from saewidgets.steering.plan import Plan, Text
from saewidgets.steering.serialize import WITH_VALUE
from saewidgets.steering.vectors import NearFeature, nearest_features, steering_vector
from saewidgets.steering.where import WhileActive


class Steering(Holdings):
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
        plan = self._plan(edits, model)
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
        plan = self._plan(edits, model)
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
        plan = self._plan(edits, model)
        (result,) = self._generate(
            plan, prompt, 1, max_new_tokens, temperature, seed, on_token, top_p, stop, use_cache, measure
        )
        return result

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
        model: str | None = None,
    ) -> tuple[Generation, ...]:
        """The same text at several strengths, written as one batch.

        Args:
            prompt: Text, or token ids [pos].
            edits: The edits; the last of them takes each of ``values`` in place of its own.
            values: The strengths.
            max_new_tokens: As for :meth:`generate`, like all that follow.
            temperature: 0: the likeliest token each time.
            seed: Of the draws, which all texts share.
            on_token: Called with each new token of each text; ``row`` says of which.
            top_p: Draw only among the likeliest tokens.
            stop: A text ends once it holds this.
            measure: Whether the unedited model reads the texts at the end.
            model: As for :meth:`steering`.

        Returns:
            One text a value.

        Example:
            >>> lab.sweep("I walked to the", sw.steering.set("mid/7", 1), [-4, 0, 4])  # doctest: +SKIP
        """
        listed = [float(value) for value in values]
        if not listed or not np.isfinite(listed).all():
            raise EditError("These are no strengths.", got=repr(list(values))[:80], expected="finite numbers")
        plan = self._plan(edits, model, listed)
        if not plan.ready:
            raise EditError("There is nothing to sweep.", got="no edits", expected="at least one edit")
        if plan.ready[-1].edit.operation not in WITH_VALUE:
            raise EditError(
                "This edit has no strength to sweep.", got=plan.ready[-1].edit.operation,
                expected=f"{', '.join(WITH_VALUE)} as the last edit",
            )  # fmt: skip
        return self._generate(
            plan, prompt, len(listed), max_new_tokens, temperature, seed, on_token, top_p, stop, True, measure
        )

    def steering_vector(
        self, positive: Sequence[Any] = (), negative: Sequence[Any] = (), hook: str | None = None, *,
        method: Any = "difference_in_means", feature: Any = None, model: str | None = None, **options: Any,
    ) -> SteeringVector:  # fmt: skip
        """A direction to steer along, from texts or from an SAE's feature.

        Args:
            positive: Texts that it is to point to.
            negative: Texts of the other side.
            hook: Hook point; by default that of the default SAE.
            method: "difference_in_means", "mean_centred", "probe", "pca", "random" or "sae_feature".
            feature: For "sae_feature" the feature.
            model: Name of the model; by default that of the feature, else of the default SAE.
            options: ``position``, ``length``, ``regularisation``, ``seed``, ...; see
                :func:`saewidgets.steering.vectors.steering_vector`.

        Raises:
            EditError: No texts, texts that do not differ, or options that do not go together.
            HookPointError: There is no such hook point.

        Example:
            >>> lab.steering_vector(["I love it."] * 32, ["I hate it."] * 32)  # doctest: +SKIP
        """
        if feature is not None:
            found = self.feature_id(feature)
            options |= {"sae": self.saes[found.sae], "feature": found.index}
            read = self.model_of(found.sae)
        else:
            read = self._model(model) if model is not None else self._first_model()
            hook = hook or (self.saes[self.default_sae].hook if self.saes else None)
        return steering_vector(read, positive, negative, hook, method=method, **options)

    def nearest_features(self, vector: SteeringVector, sae: str | None = None, k: int = 10) -> tuple[NearFeature, ...]:
        """The features whose directions have the largest cosine with a vector, by magnitude.

        Raises:
            MismatchError: The SAE reads another hook point, or has another width.
        """
        return tuple(nearest_features(vector, self.saes[self.sae_name(sae)], k))

    def measure_maxima(self, texts: Sequence[Any], sae: str | None = None) -> None:
        """Take the reference maximum of each feature, the unit of strengths, from texts.

        Args:
            texts: Texts, or lists of token ids; special tokens are left out.
            sae: Name of the SAE; by default the first added.

        Raises:
            EditError: No texts.
        """
        name = self.sae_name(sae)
        held, model = self.saes[name], self.model_of(name)
        tokens = [model.tokenize(text, held.prepend_bos) for text in texts]
        if not tokens:
            raise EditError("There are no texts to measure on.", got="none", expected="at least one text")
        largest = np.zeros(held.d_sae, np.float32)
        for found in activations(model, held, tokens, sae_name=name):
            np.maximum.at(largest, found.indices, found.values)
        held.reference_max = largest
        held.n_reference_tokens = sum(int((~each.special).sum()) for each in tokens)
        held.reference_sample = f"{len(tokens)} texts given"

    # ---- what the questions above share --------------------------------------------------------------------------

    def _plan(self, edits: Any, model: str | None, values: Sequence[float] | None = None) -> Plan:
        listed = [edits] if isinstance(edits, Edit) else list(edits)
        for edit in listed:
            if not isinstance(edit, Edit):
                raise EditError(
                    "This is not an edit.", got=repr(edit)[:80],
                    expected="what sw.steering.set, add, scale, ablate, set_if_active or project_out give",
                )  # fmt: skip
        ready = [self._named(edit) for edit in listed]
        read = {self._reads[e.target.sae] for e in ready if isinstance(e.target, FeatureId)}
        if len(read | ({model} if model else set())) > 1:
            raise MismatchError("The edits are of several models.", got=", ".join(sorted(read)), expected="one model")
        if model is not None:
            chosen = self._model(model)
        else:
            chosen = self.models[next(iter(read))] if read else self._first_model()
        return Plan(chosen, self.saes, ready, self.default_sae if self.saes else None, values)

    def _named(self, edit: Edit) -> Edit:
        """The edit with its feature checked and named in full."""
        where = edit.where
        if isinstance(where, WhileActive):
            where = WhileActive(self.feature_id(where.feature), where.threshold)
        target = edit.target if isinstance(edit.target, SteeringVector) else self.feature_id(edit.target)
        return replace(edit, target=target, where=where)

    def _model(self, name: str) -> LanguageModel:
        if name not in self.models:
            raise UnknownNameError(
                "The lab has no model of that name.", got=repr(name), expected=", ".join(map(repr, self.models))
            )
        return self.models[name]

    def _first_model(self) -> LanguageModel:
        return self.model_of() if self.saes else next(iter(self.models.values()))

    def _prompt(self, plan: Plan, prompt: Any) -> Tokens:
        featured = [ready.sae.prepend_bos for ready in plan.ready if ready.sae is not None]
        return plan.model.tokenize(prompt, featured[0] if featured else None)

    def _generate(
        self, plan: Plan, prompt: Any, rows: int, max_new_tokens: Any, temperature: Any, seed: Any, on_token: Any,
        top_p: Any, stop: Any, use_cache: bool, measure: bool,
    ) -> tuple[Generation, ...]:  # fmt: skip
        if not 0 <= float(temperature) < np.inf or not 0 < float(top_p) <= 1:
            raise EditError(
                "Tokens cannot be drawn like that.", got=f"temperature={temperature}, top_p={top_p}",
                expected="temperature >= 0, top_p above 0 and at most 1",
            )  # fmt: skip
        stops = (stop,) if isinstance(stop, str) and stop else tuple(stop)
        if not all(isinstance(each, str) and each for each in stops):
            raise EditError("A text cannot end there.", got=repr(stop)[:80], expected="texts of at least one character")
        return generate(
            plan.model, self._prompt(plan, prompt), plan, rows=rows,
            max_new_tokens=_whole("max_new_tokens", max_new_tokens, 0),
            sampling=Sampling(float(temperature), float(top_p), _whole("seed", seed, 0)),
            stop=stops, on_token=on_token, use_cache=use_cache,
            measure=measure,
        )  # fmt: skip


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise EditError(f"This is no number for {name}.", got=repr(value), expected=f"a whole number from {least}")
    return int(value)
