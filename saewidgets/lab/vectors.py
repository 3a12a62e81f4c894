"""Directions to steer along, and the unit of strengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from saewidgets.analysis.activations import activations
from saewidgets.errors import EditError
from saewidgets.lab.holdings import Holdings
from saewidgets.models import LanguageModel
from saewidgets.results import SteeringVector
from saewidgets.steering.vectors import NearFeature, nearest_features, steering_vector


class Vectors(Holdings):
    """The part of a :class:`saewidgets.Lab` that makes steering vectors."""

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
            read = self._model(model)
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

    def _model(self, name: str | None) -> LanguageModel:
        """A model by name; for None that of the default SAE, or the first."""
        return self.model_of() if name is None and self.saes else self.models[self.model_name(name)]
