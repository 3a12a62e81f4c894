"""Ways to steer, compared fairly on the user's model: an SAE's feature against vectors from few and from many pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from saewidgets.analysis.activations import activations
from saewidgets.errors import EditError, MismatchError, TargetError
from saewidgets.lab.effects import Effects
from saewidgets.lab.steering import _whole
from saewidgets.models import LanguageModel
from saewidgets.results import FeatureChoice, FeatureId, SteeringBench, Tokens
from saewidgets.steering.bench import KLS, NORMS, BenchTexts, effects_at, steering_bench
from saewidgets.steering.bench_arms import METHODS, OF_FEATURE, OF_TEXTS, Arm, check_methods, check_pairs, make_arms
from saewidgets.steering.edits import add
from saewidgets.steering.plan import Plan
from saewidgets.steering.reading import Position, read_texts
from saewidgets.steering.scores import check_above_zero, choose_detectors

SIDES = ("positive", "negative")
_DENSE_NUMBERS = 2**27  # largest activations of texts and features that are held: 512 MiB


class _Chosen(NamedTuple):
    """Model, hook point and features of a comparison, with how each was chosen, best first."""

    model: LanguageModel
    hook: str
    candidates: tuple[tuple[FeatureId, FeatureChoice | None], ...]

    @property
    def feature(self) -> FeatureId | None:
        """The first of the candidates."""
        return self.candidates[0][0] if self.candidates else None


class Comparing(Effects):
    """The part of a :class:`saewidgets.Lab` that compares ways to steer."""

    def steering_bench(
        self,
        target: Any,
        methods: str | Sequence[str] | None = None,
        prompts: Sequence[Any] = (),
        neutral_texts: Sequence[Any] | None = None,
        *,
        positive: Sequence[Any] | None = None,
        negative: Sequence[Any] | None = None,
        feature: Any = None,
        sae: str | None = None,
        hook: str | None = None,
        candidates: int = 1,
        pairs: Sequence[int] | None = None,
        strengths: Sequence[float | int] = NORMS,
        kl: Sequence[float | int] = KLS,
        max_new_tokens: int = 12,
        resamples: int = 5,
        position: Position = -1,
        neutral_length: int | None = 24,
        seed: int = 0,
        on_progress: Callable[[str, int, int], object] | None = None,
        model: str | None = None,
    ) -> SteeringBench:
        """Which way of steering brings a target about with the least side effect?

        All ways act on every token but the special ones, of the prompt and of what is written. They are compared where
        what they add has the same mean length, and where they have the same KL on neutral texts.

        ====================  =====================================================================================
        "set", "add"          the feature's operations of that name, on every token
        "set_if_active"       as "set" where the feature fires; where it is silent nothing, whatever the strength
        "difference_in_..."   "difference_in_means" of ``pairs`` texts of each side, several draws of each number
        "probe", "pca"        logistic regression, and uncentred principal component, of the most pairs
        "random"              random directions: what any change of that length does
        ====================  =====================================================================================

        Where no feature is given, all of an SAE are tried: the one whose largest activation best tells every second
        text of both sides apart (AUROC) is taken, and the result says how it does on the others. The best detector need
        not be the best to steer with, and several may detect equally well. With ``candidates`` above 1 so many of the
        best are tried on the prompts 0, 2, 4, ... by adding each at the middle one of ``strengths``, and the one with
        the most effect is taken; matched comparisons of all ways are then made on the other prompts.

        What the result does not tell: whether a way is better for other concepts, SAEs, models or texts. The effect is
        the gain in log-odds of the target's tokens, not whether a reader sees the concept; see
        :mod:`saewidgets.steering.scores` for the ratings, and :class:`SteeringBench` for what is not comparable.

        Args:
            target: What steering is to bring about: a token or several, any of which counts, as text or id.
            methods: Names of the table; by default all that texts and SAEs allow.
            prompts: Where the next token is looked at, and which are continued. Strengths are picked on the first,
                third, ... and scored on the others.
            neutral_texts: Texts on which the side effect is measured; by default :attr:`neutral_texts`.
            positive: Texts that vectors are to point to.
            negative: Texts of the other side; text i of both is one pair where there are equally many.
            feature: The feature.
            sae: The SAE to choose one of; by default the first that reads the hook point.
            hook: Hook point; by default that of the SAE.
            candidates: How many of the best detectors are tried as the feature.
            pairs: Numbers of pairs; by default 1, 2, 4, ..., 256 as far as there are texts, and all of them.
            strengths: Mean lengths of what is added to a token of the prompts, in mean lengths of its activation.
            kl: KL(base || edited) on the neutral texts, in nats per token; () for none.
            max_new_tokens: Of each continuation (greedy, first draw only); 0: none, and no score.
            resamples: Draws of texts for each number of pairs, and random directions.
            position: Token of positive and negative texts whose activation vectors are made from, or "mean".
            neutral_length: To how many tokens neutral texts are cut; None: not at all. So the KL is not that of
                :meth:`side_effect`, which reads whole texts.
            seed: Of the draws.
            on_progress: Called with the stage, steps done and steps in all; returning False ends it with an error.
            model: Name of the model; by default that of the SAE.

        Raises:
            EditError: No prompts, no texts where a method needs them, or numbers that cannot be used.
            TargetError: A target that is not one token, or none.
            UnknownNameError: There is no such SAE or model.
            MismatchError: A feature of another hook point.

        Example:
            >>> bench = lab.steering_bench(  # doctest: +SKIP
            ...     " Paris", prompts=["The capital of Spain is", "She lives in"], positive=french, negative=other
            ... )
            >>> bench.at_kl(0.1), bench.chart()  # doctest: +SKIP
        """
        asked = check_methods(self._possible(methods, positive, feature, sae, hook, model))
        norms, kls = check_above_zero("strengths", strengths), check_above_zero("kl", kl) if len(kl) else ()
        n_new, draws = _whole("max_new_tokens", max_new_tokens, 0), _whole("resamples", resamples, 1)
        sides = tuple([] if side is None else side for side in (positive, negative))
        tried = _whole("candidates", candidates, 1)
        chosen = self._chosen(bool(set(asked) & set(OF_FEATURE)), sides, feature, sae, hook, model, tried)
        texts = self._texts(chosen, target, prompts, neutral_texts, neutral_length, sides)
        feature, choice = self._best_to_steer(chosen, texts, norms[len(norms) // 2])
        texts = replace(texts, feature=str(feature or ""), choice=choice)
        vectors = None
        if set(asked) & set(OF_TEXTS):
            p, n = (read_texts(chosen.model, _listed(name, side), chosen.hook, position=position, side=name)
                    for name, side in zip(SIDES, sides, strict=True))  # fmt: skip
            vectors = p, n
        arms = make_arms(
            lambda edit: Plan(chosen.model, self.saes, [edit], None).ready[0], chosen.hook, asked, feature,
            vectors, check_pairs(pairs, min(map(len, sides))) if vectors else (1,), draws, _whole("seed", seed, 0),
            math.prod(chosen.model.hook_shape(chosen.hook)),
        )  # fmt: skip
        return steering_bench(
            chosen.model, chosen.hook, arms, texts, norms=norms, kls=kls, max_new_tokens=n_new, on_progress=on_progress
        )

    # ---- what is compared ----------------------------------------------------------------------------------------

    def _texts(
        self, chosen: _Chosen, target: Any, prompts: Any, neutral_texts: Any, neutral_length: int | None,
        sides: tuple[Any, ...],
    ) -> BenchTexts:  # fmt: skip
        """Everything that is read, as tokens."""
        model = chosen.model
        begins = None if chosen.feature is None else self.saes[chosen.feature.sae].prepend_bos
        ids = _target_ids(model, target)
        told = tuple(model.tokenize(prompt, begins) for prompt in _listed("prompts", prompts))
        given = _listed("neutral_texts", self.neutral_texts if neutral_texts is None else neutral_texts)
        cut = [_cut(model, model.tokenize(text, begins), neutral_length) for text in given]
        neutral = tuple(tokens for tokens in cut if len(tokens) > 1)
        if not neutral:
            raise EditError("The neutral texts predict nothing.", got="texts of one token", expected="longer texts")
        lengths = [len(model.tokenize(text)) for side in sides for text in side]
        mean = float(np.mean(lengths)) if lengths else float("nan")
        sizes = len(sides[0]), len(sides[1])
        return BenchTexts(ids, told, neutral, sizes, mean)

    def _best_to_steer(
        self, chosen: _Chosen, texts: BenchTexts, norm: float
    ) -> tuple[FeatureId | None, FeatureChoice | None]:
        """Of several candidates the one with the most effect on every second prompt, all at one length."""
        if len(chosen.candidates) < 2:
            return chosen.candidates[0] if chosen.candidates else (None, None)
        if len(texts.prompts) < 2:
            raise EditError(
                "Candidates are tried on half of the prompts.", got="one prompt", expected="two or more prompts"
            )
        plans = [Plan(chosen.model, self.saes, [add(feature, 1)], None) for feature, _ in chosen.candidates]
        arms = [Arm("add", 0, 0, plan.ready[0]) for plan in plans]
        effects = effects_at(chosen.model, chosen.hook, arms, texts.prompts[::2], texts.target, norm)
        feature, choice = chosen.candidates[int(effects.argmax())]
        assert choice is not None
        return feature, choice._replace(candidates=len(arms))

    def _possible(
        self, methods: str | Sequence[str] | None, positive: Any, feature: Any, sae: str | None, hook: str | None,
        model: str | None,
    ) -> Sequence[str]:  # fmt: skip
        """The methods, or all that there are parts for."""
        if methods is not None:
            return [methods] if isinstance(methods, str) else methods
        texts = positive is not None
        features = feature is not None or (texts and bool(sae or self._saes_at(hook, model)))
        allowed = {"random"} | (set(OF_FEATURE) if features else set()) | (set(OF_TEXTS) if texts else set())
        return [method for method in METHODS if method in allowed]

    def _saes_at(self, hook: str | None, model: str | None) -> list[str]:
        """SAEs that read a hook point of a model; any where none is named."""
        found = []
        for name, held in self.saes.items():
            if model is not None and self._reads[name] != model:
                continue
            read = self.models[self._reads[name]]
            if hook is None or read.resolve(held.hook) is read.resolve(hook):
                found.append(name)
        return found

    def _chosen(
        self, needed: bool, sides: tuple[Any, ...], feature: Any, sae: str | None, hook: str | None,
        model: str | None, tried: int,
    ) -> _Chosen:  # fmt: skip
        """The feature where one is needed, and the hook point at which all is compared."""
        found = None
        if feature is not None:
            found = self.feature_id(feature, sae)
        elif needed or sae is not None:
            names = [self.sae_name(sae)] if sae is not None else self._saes_at(hook, model)
            if not names:
                raise EditError(
                    "No SAE reads this hook point.", got=str(hook), expected="the hook point of an SAE of the lab",
                    do="leave out set, set_if_active and add, or add an SAE with lab.add_sae(...)",
                )  # fmt: skip
            found = FeatureId(names[0], 0)
        if found is None:
            read = self._model(model)
            at = hook or (self.saes[self.default_sae].hook if self.saes else None)
            if at is None:
                raise EditError("Where is the model to be steered?", got="no hook", expected="hook='blocks.2...'")
            return _Chosen(read, at, ())
        read, own = self.model_of(found.sae), self.saes[found.sae].hook
        if model is not None and self._model(model) is not read:
            raise MismatchError("The SAE reads another model.", got=model, expected=self._reads[found.sae])
        if hook is not None and read.resolve(hook) is not read.resolve(own):
            raise MismatchError(
                "The feature lies at another hook point, where lengths mean something else.", got=hook, expected=own
            )
        if feature is None and needed:
            return _Chosen(read, own, self._detectors(found.sae, read, sides, tried))
        return _Chosen(read, own, ((found, None),) if needed else ())

    def _detectors(
        self, sae: str, model: LanguageModel, sides: tuple[Any, ...], k: int
    ) -> tuple[tuple[FeatureId, FeatureChoice], ...]:
        """The best detectors of an SAE, with how good they are."""
        tables = [self._largest(sae, model, _listed(name, side)) for name, side in zip(SIDES, sides, strict=True)]
        fires = np.flatnonzero((tables[0] > 0).any(0))
        if not len(fires):
            raise EditError("No feature fires on the positive texts.", got=sae, expected="texts, or feature=...")
        n_texts = sum((len(table) + 1) // 2 for table in tables)
        found = choose_detectors(tables[0][:, fires], tables[1][:, fires], k)
        return tuple(
            (FeatureId(sae, int(fires[chosen.feature])), FeatureChoice(chosen.auroc, *checked[1:], n_texts))
            for chosen, checked in found
        )

    def _largest(self, name: str, model: LanguageModel, texts: Sequence[Any]) -> np.ndarray:
        """Largest activation of each feature in each text, float32 [text, d_sae]."""
        held = self.saes[name]
        if len(texts) * held.d_sae > _DENSE_NUMBERS:
            most = _DENSE_NUMBERS // held.d_sae
            raise EditError(
                "These are too many texts to choose a feature on.", got=len(texts), expected=f"{most} or less"
            )
        tokens = [model.tokenize(text, held.prepend_bos) for text in texts]
        largest = np.zeros((len(texts), held.d_sae), np.float32)
        for row, found in zip(largest, activations(model, held, tokens, sae_name=name), strict=True):
            np.maximum.at(row, found.indices, found.values)
        return largest


def _target_ids(model: LanguageModel, target: Any) -> tuple[int, ...]:
    several = isinstance(target, Sequence) and not isinstance(target, str | bytes)
    listed = list(target) if several or getattr(target, "ndim", 0) == 1 else [target]
    ids = tuple(dict.fromkeys(model.token_id(token) for token in listed))
    if not ids or len(ids) >= model.d_vocab:
        raise TargetError("There is no target.", got=repr(target)[:80], expected="one token, or a list of some")
    return ids


def _listed(name: str, texts: Any) -> list[Any]:
    if isinstance(texts, str | bytes) or not hasattr(texts, "__len__") or not len(texts):
        raise EditError(
            f"There are no texts in '{name}'.", got=repr(texts)[:80], expected="a list of at least one text",
            do=f"give {name}=[...]",
        )  # fmt: skip
    return list(texts)


def _cut(model: LanguageModel, tokens: Tokens, length: Any) -> Tokens:
    most = len(tokens) if length is None else _whole("neutral_length", length, 2)
    return tokens if len(tokens) <= most else model.tokenize(tokens.ids[:most].tolist())
