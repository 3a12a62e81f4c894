"""Questions about a prompt: which features fire on it, and which matter for what follows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, overload

import numpy as np

from saewidgets.analysis.ablation import MEMORY, goes_on
from saewidgets.analysis.activations import activations
from saewidgets.analysis.attention import attention
from saewidgets.analysis.attribution import STEPS
from saewidgets.analysis.ranking import Ranker
from saewidgets.errors import MismatchError, SaewidgetsError, UnknownNameError
from saewidgets.lab.keeping import FeatureLabels, Keeping
from saewidgets.models import LanguageModel, split_prompts
from saewidgets.results import Activations, ActivationsBatch, Attention, Ranking, RankingBatch, Tokens


class Questions(Keeping):
    """The part of a :class:`saewidgets.Lab` that reads prompts."""

    @overload
    def activations(
        self, prompt: str | list[int], sae: str | None = None, mask_special: bool = True
    ) -> Activations: ...
    @overload
    def activations(
        self, prompt: list[str] | list[list[int]], sae: str | None = None, mask_special: bool = True
    ) -> ActivationsBatch: ...
    @overload
    def activations(self, prompt: Any, sae: str | None = None, mask_special: bool = True) -> Any: ...
    def activations(self, prompt: Any, sae: str | None = None, mask_special: bool = True) -> Any:
        """Which features fire on which tokens.

        Args:
            prompt: Text, or token ids [pos], which are taken as they are; or several: a list of texts, a list of
                lists of ids, or ids [batch, pos].
            sae: Name of the SAE; by default the first added.
            mask_special: Whether BOS, EOS and pad are left out.

        Returns:
            The features of one prompt, or of each of several.

        Raises:
            PromptError: Empty, not text, or more ids than the context holds.
            TokenError: A token id outside the vocabulary.
            UnknownNameError: There is no such SAE.
            NonFiniteError: An activation of the model is NaN or infinite.

        Example:
            >>> lab.activations("The Golden Gate Bridge").to_frame()  # doctest: +SKIP
        """
        name = self.sae_name(sae)
        model, held = self.model_of(name), self._saes[name]
        prompts, several = split_prompts(prompt)
        tokens = [_tokens_of(model, each, held.prepend_bos, n if several else None) for n, each in enumerate(prompts)]
        found = activations(model, held, tokens, sae_name=name, mask_special=mask_special)
        if labels := self._labels_now(name):
            found = tuple(replace(each, labels=_labels_on(labels, each.indices)) for each in found)
        return ActivationsBatch(found) if several else found[0]

    def attention(self, prompt: Any, layer: Any, *, model: Any = None) -> Attention:
        """Which tokens each head of a layer looks at.

        A text is split as for :meth:`activations` with the first SAE of the model, so that positions are the same.

        Args:
            prompt: Text, or token ids [pos].
            layer: Number of the layer, from 0 or, below 0, from the last.
            model: Name of the model; by default the first.

        Raises:
            PromptError: Empty, not text, or more ids than the context holds.
            TokenError: A token id outside the vocabulary.
            HookPointError: There is no such layer, or the model computes no patterns, as with flash attention.
            MismatchError: Tokens look at later tokens: the model is no decoder.
            UnknownNameError: There is no such model.
            NonFiniteError: A weight is NaN or infinite.

        Example:
            >>> lab.attention("The capital of France is", 1).heads_frame()  # doctest: +SKIP
        """
        name = self.model_name(model)
        reads = self._slots[name].get()
        begins = next((sae.prepend_bos for one, sae in self._saes.items() if self._reads[one] == name), None)
        return attention(reads, reads.tokenize(prompt, begins), layer)

    def ranker(self, prompt: Any, sae: str | Sequence[str] | None = None, mask_special: bool = True) -> Ranker:
        """One prompt, run once, to be asked about several targets; :meth:`rank` with the forward pass kept.

        Args:
            prompt: Text, or token ids [pos].
            sae: Name of the SAE, or of several that read one model; by default the first added.
            mask_special: Whether BOS, EOS and pad are left out.

        Raises:
            PromptError: Empty, not text, or more ids than the context holds.
            UnknownNameError: There is no such SAE.
            MismatchError: SAEs of different models.
        """
        asked: Any = sae if isinstance(sae, list | tuple) else [sae]
        names = list(dict.fromkeys(self.sae_name(name) for name in asked))
        if not names:
            raise UnknownNameError("No SAE is named.", got="an empty list", expected="the name of an SAE")
        models = [self.model_of(name) for name in names]
        if any(model is not models[0] for model in models):
            raise MismatchError("The SAEs read different models.", got=", ".join(names), expected="SAEs of one model")
        held = {name: self.saes[name] for name in names}
        tokens = models[0].tokenize(prompt, held[names[0]].prepend_bos)
        return Ranker(models[0], held, tokens, mask_special)

    def rank(
        self,
        prompt: Any,
        target: Any = None,
        baseline: Any = None,
        position: Any = None,
        sae: str | Sequence[str] | None = None,
        method: Any = "attribution",
        scope: Any = None,
        metric: Any = None,
        *,
        steps: Any = STEPS,
        max_ablations: Any = None,
        mask_special: bool = True,
        memory: Any = MEMORY,
        on_progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Which features matter for an answer: activation, attribution and true ablation side by side.

        The metric M is read at the last token of the prompt. Attribution is f * (dM/dx . d), the effect of the feature
        being present to first order; ablation M(x) - M(x - f d) is the effect of taking it out in a real forward pass,
        the SAE's error kept.

        Args:
            prompt: Text, or token ids [pos]; or a list of prompts, to have the statistics over a dataset.
            target: The next token, as text (``" Paris"``) or id; a list of tokens: the sum of their log-probabilities.
                None: the model's most likely next token. For several prompts one for all, or a list with one for each.
            baseline: The token to compare with: M = logit(target) - logit(baseline); None: minus the mean logit. For
                several prompts as ``target``.
            position: Token whose features are ranked, from 0 or, below 0, from the end; None: all of the prompt. For
                several prompts one for all, or a list.
            sae: Name of the SAE, or of several that read one model; by default the first added.
            method: "attribution", or "integrated_gradients" (midpoint rule), whose completeness error the result holds.
            scope: "position": rows are (position, feature) pairs, each ablated at its own position. "all_positions":
                rows are features, summed over positions and ablated at all positions at once, which is not the sum of
                the former. By default "position" where a position is given, else "all_positions".
            metric: "logit_difference", "log_prob", or your function from logits [1, pos, d_vocab] to one number.
            steps: Steps of integrated gradients; more where the completeness error is large.
            max_ablations: How many features are ablated, the most attributed first; None: all.
            mask_special: Whether BOS, EOS and pad are left out.
            memory: Bytes that a batch of ablations may take above the model.
            on_progress: For one prompt called with the :class:`Ranking` so far, after attribution and after each batch
                of ablations; for several with each finished one. Returning False stops; what was computed stays.

        Returns:
            A :class:`Ranking`, or a :class:`RankingBatch` for a list of prompts.

        Raises:
            PromptError: Empty, not text, or more ids than the context holds.
            TargetError: A target, baseline or metric that cannot be used; shows how a text splits.
            TokenError: The prompt has no such position, or it is masked.
            UnknownNameError: There is no such SAE.

        Example:
            >>> lab.rank("The capital of France is", " Paris", " Rome").overlap(10)  # doctest: +SKIP
        """
        prompts, several = split_prompts(prompt)

        def one(prompt: Any, target: Any, baseline: Any, position: Any, progress: Any) -> Ranking:
            found = self.ranker(prompt, sae, mask_special).rank(
                target, baseline, position=position, method=method, scope=scope, metric=metric, steps=steps,
                max_ablations=max_ablations, memory=memory, on_progress=progress,
            )  # fmt: skip
            return self._labelled(found)

        if not several:
            return one(prompt, target, baseline, position, on_progress)
        targets, baselines, positions = (_one_each(value, prompts) for value in (target, baseline, position))
        found: list[Ranking] = []
        try:
            for n, each in enumerate(prompts):
                with _naming_prompt(n):
                    found.append(one(each, targets[n], baselines[n], positions[n], None))
                if found[-1].stopped or not goes_on(on_progress, lambda: found[-1]):
                    break
        except KeyboardInterrupt:
            what = f"Interrupted after {len(found)} of {len(prompts)} prompts; the result holds what was computed."
            warnings.warn(what, stacklevel=2)
        return RankingBatch(tuple(found))

    def _labels_now(self, sae: str) -> Mapping[int, str]:
        """The labels of an SAE's features; no SAE is hashed where nothing has been said of anything."""
        labels = self.labels_of(sae) if sae in self._saes else {}
        return labels.now() if isinstance(labels, FeatureLabels) else labels

    def _labelled(self, ranking: Ranking) -> Ranking:
        """With the labels of its features as they stand."""
        named: dict[str, str] = {}
        for i, name in enumerate(ranking.saes):
            if labels := self._labels_now(name):
                found = _labels_on(labels, ranking.features[ranking.sae_index == i])
                named |= {f"{name}/{feature}": label for feature, label in found.items()}
        return replace(ranking, labels=named) if named else ranking


def _labels_on(labels: Mapping[int, str], features: np.ndarray) -> dict[int, str]:
    """Those of the features of a result [nnz]."""
    fires = np.flatnonzero(np.bincount(features)) if len(features) else features
    return {feature: str(labels[feature]) for feature in fires.tolist() if labels.get(feature)}


def _one_each(value: Any, prompts: list[Any]) -> list[Any]:
    """A value for each prompt: a list, array or column as it is, anything else for all."""
    if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return [value] * len(prompts)
    if len(value) != len(prompts):
        raise MismatchError(
            "There is not one target, baseline and position for each prompt.",
            got=f"{len(value)} for {len(prompts)} prompts",
            expected="as many as prompts, or one for all",
        )
    return list(value)


@contextmanager
def _naming_prompt(number: int | None) -> Iterator[None]:
    """An error inside says which of several prompts is wrong."""
    try:
        yield
    except SaewidgetsError as error:
        if number is None:
            raise
        what = f"Prompt {number} of the list: {error.what}"
        raise type(error)(what, got=error.got, expected=error.expected, do=error.do) from error


def _tokens_of(model: LanguageModel, prompt: Any, prepend_bos: bool | None, number: int | None) -> Tokens:
    with _naming_prompt(number):
        return model.tokenize(prompt, prepend_bos)
