"""What edits do to neutral texts: KL and cross-entropy per token, against the unedited model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saewidgets.errors import EditError, MismatchError
from saewidgets.models import LanguageModel
from saewidgets.models.batches import batches_of, padded
from saewidgets.results import SideEffect
from saewidgets.steering.edits import Edit
from saewidgets.steering.generation import finite
from saewidgets.steering.plan import Plan, Text

NEUTRAL_TEXTS = (
    "The train was late again, so we waited on the platform and talked about the weather.",
    "Water boils at a lower temperature on a high mountain because the air is thinner there.",
    "She opened the old box and found three letters, a key and a photograph of the house.",
    "To install the program, download the file, open it and follow the steps on the screen.",
    "The committee will meet on Tuesday to discuss the budget for the coming year.",
    "He cut the onions, warmed some oil in a pan and added a little salt.",
    "Most birds build their nests in spring, when food for the young is easy to find.",
    "The second half of the match was slower, and neither side scored.",
)
"""Plain English about nothing in particular, for models of English."""


def everywhere(edits: Sequence[Edit]) -> list[Edit]:
    """The edits as they act on a text that is read, not continued: "prompt" and "generated" mean all of it."""
    return [replace(edit, where="all") if edit.where in ("prompt", "generated") else edit for edit in edits]


class NeutralTexts:
    """Texts whose distributions without edits are kept, to be compared with those under many edits.

    Args:
        model: The model.
        texts: Texts, or lists of token ids.
        prepend_bos: As for :meth:`saewidgets.models.LanguageModel.tokenize`.
        keep: Whether the distributions are kept; without, they are made anew for each question.

    Raises:
        EditError: No texts, or none of two tokens.
    """

    def __init__(self, model: LanguageModel, texts: Any, prepend_bos: bool | None = None, keep: bool = True) -> None:
        if isinstance(texts, str | bytes) or not hasattr(texts, "__len__") or not len(texts):
            raise EditError(
                "There are no neutral texts.", got=repr(texts)[:80], expected="a list of at least one text",
                do="give texts=[...], or set lab.neutral_texts",
            )  # fmt: skip
        self.model = model
        self._prompts = [model.tokenize(text, prepend_bos) for text in texts]
        if max(map(len, self._prompts)) < 2:
            raise EditError("The neutral texts predict nothing.", got="texts of one token", expected="longer texts")
        self._kept: dict[int, Tensor] | None = {} if keep else None

    def __len__(self) -> int:
        return len(self._prompts)

    def under(self, plan: Plan, check: Callable[[], object] = lambda: None) -> SideEffect:
        """The side effect of edits.

        Args:
            plan: The edits; see :func:`everywhere`.
            check: Called before each batch of texts; what it raises ends the measurement.

        Returns:
            Of each text the means over the tokens that it predicts, which are all but its first.
        """
        if plan.model is not self.model:
            raise MismatchError("The edits are of another model.", got=plan.model.name, expected=self.model.name)
        n_texts = len(self._prompts)
        kls, base_ces, ces = np.zeros(n_texts), np.zeros(n_texts), np.zeros(n_texts)
        for number, batch in enumerate(batches_of(self._prompts)):
            check()
            prompts = [self._prompts[n] for n in batch]
            ids, wanted = padded(prompts, [np.ones(len(tokens), bool) for tokens in prompts])
            if ids.shape[1] < 2:
                continue
            base = self._base(number, ids)
            steered = self.model.steered(plan.changes(Text(self.model.special_ids)))
            edited = steered.run(lambda ids=ids: self._log_p(ids)) if plan.ready else base
            for values, found in zip((kls, base_ces, ces), _compare(base, edited, ids, wanted), strict=True):
                values[batch] = found
        n_predicted = np.array([len(tokens) - 1 for tokens in self._prompts])
        shown = tuple(tokens.text for tokens in self._prompts)
        return SideEffect(shown, n_predicted, kls, base_ces, ces, plan.formulas, self.model.name)

    def _base(self, number: int, ids: Tensor) -> Tensor:
        if self._kept is None:
            return self._log_p(ids)
        if number not in self._kept:
            self._kept[number] = self._log_p(ids)
        return self._kept[number]

    @torch.no_grad()
    def _log_p(self, ids: Tensor) -> Tensor:
        """Log-probabilities at all but the last token [text, pos - 1, d_vocab]."""
        logits = self.model.logits(ids)[:, :-1]
        return finite((logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1))


def _compare(base: Tensor, edited: Tensor, ids: Tensor, wanted: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """KL and both cross-entropies of each text, means over its predictions, float64 [text]."""
    at = ids[:, 1:, None].to(base.device)
    counted = wanted[:, 1:].to(base.device)
    n = counted.sum(1).clamp(min=1)

    def mean(values: Tensor) -> np.ndarray:
        return ((values.double() * counted).sum(1) / n).cpu().numpy()

    kl = (base.exp() * (base - edited)).double().sum(-1).clamp(min=0)
    return mean(kl), mean(-base.gather(2, at)[..., 0]), mean(-edited.gather(2, at)[..., 0])
