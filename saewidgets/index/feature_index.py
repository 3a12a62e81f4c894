"""An index on disk, looked up feature by feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saewidgets.errors import FeatureIndexError, IndexBuildError, LoadError
from saewidgets.index import search, store
from saewidgets.index.cofiring import CoFiringTable
from saewidgets.index.concepts import StoredConcepts
from saewidgets.index.feature_row import FeatureRow
from saewidgets.index.geometry import Geometry, logit_effects
from saewidgets.index.hashing import priority, salt
from saewidgets.models.tokenize import split_prompts
from saewidgets.results import Activations, FeatureId, Tokens
from saewidgets.results.feature_stats import (
    CoFiring,
    ConceptMatch,
    FeatureStats,
    LogitEffects,
)
from saewidgets.results.numbers import whole_number
from saewidgets.results.steering_vector import Number

if TYPE_CHECKING:
    import pandas as pd

N_COFIRING = 10


class Source(NamedTuple):
    """What an index asks a model for.

    ``tokens`` gives the tokens of ids, ``geometry`` what the weights say, ``read`` the activations of some prompts, and
    ``token_id`` the id of a token given as text or id.
    """

    tokens: Callable[[np.ndarray], Tokens]
    geometry: Geometry
    read: Callable[[list[Any]], Sequence[Activations]]
    token_id: Callable[[Any], int]


class FeatureIndex:
    """Every feature of one SAE over a corpus; mapped from disk, read where it is looked at.

    Args:
        path: The folder that ``build_index`` wrote.
        name: What to call the SAE; by default as it was called then.

    Raises:
        LoadError: It is no index, one of a newer version, or one that is cut short or damaged.

    Attributes:
        labels: What people call features, by number; shown and searched, never stored here.
        concepts: The concepts that each feature tells best, up to five, by number, where the corpus had labels.
            "It fires above t times its maximum" is compared with each, at the t of 0, 0.1, ..., 0.9 with the best F1:
            precision is over the tokens on which it fires so, recall over the concept's spans in the whole corpus.

    Example:
        >>> index = FeatureIndex("my_index")  # doctest: +SKIP
        >>> index.to_frame().nlargest(10, "density")  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        self._stored = store.read(Path(path).expanduser())
        self.name = name or str(self.manifest["sae"]["name"])
        self.concepts: Mapping[int, tuple[ConceptMatch, ...]] = self._stored_concepts()
        self._source: Callable[[], Source] | None = None
        self.labels: Mapping[int, str] = {}
        self._features = self._stored.tables["features.arrow"]

    def _stored_concepts(self) -> Mapping[Any, Any]:
        table = self._stored.tables.get(store.CONCEPTS)
        return {} if table is None else StoredConcepts(self.path, table, self.manifest["concepts"]["names"])

    def __repr__(self) -> str:
        return f"FeatureIndex({self.name!r}, {self.d_sae:,} features over {self.n_tokens:,} tokens)"

    def __len__(self) -> int:
        return self.d_sae

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._stored.folder

    @property
    def manifest(self) -> dict[str, Any]:
        """What it says about itself: model, SAE, corpus, settings, versions, files."""
        return self._stored.manifest

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return self.manifest["sae"]["d_sae"]

    @property
    def n_tokens(self) -> int:
        """Tokens counted: without those that are masked."""
        return self.manifest["corpus"]["n_tokens"]

    @property
    def sample(self) -> str:
        """What the corpus is, in words."""
        corpus = self.manifest["corpus"]
        masked = f"; {corpus['n_special']:,} special tokens masked" if corpus["n_special"] else ""
        sinks = f", {corpus['n_sinks']:,} sinks" if corpus["n_sinks"] else ""
        odd = f"; {corpus['n_nonfinite']:,} activations that are not finite left out" if corpus["n_nonfinite"] else ""
        return f"index of {corpus['n_tokens']:,} tokens of {corpus['n_texts']:,} texts{masked}{sinks}{odd}"

    @property
    def count(self) -> np.ndarray:
        """Tokens that each feature fires on, int64 [d_sae]."""
        return self._features["count"]

    @property
    def max(self) -> np.ndarray:
        """Largest activation of each feature, float32 [d_sae]; 0 where it never fires."""
        return self._features["max"]

    @cached_property
    def density(self) -> np.ndarray:
        """Share of the tokens that each feature fires on, float64 [d_sae]."""
        return self.count / self.n_tokens

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of each feature's activations above 0, float64 [d_sae]; 0 where it never fires."""
        return self._features["sum"] / np.maximum(self.count, 1)

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return sum(entry["bytes"] for entry in self.manifest["files"].values())

    def verify(self) -> None:
        """Read every byte and compare it with what was written.

        Raises:
            LoadError: A file has changed.
        """
        store.verify(self._stored)

    def to_frame(self) -> pd.DataFrame:
        """One row a feature: feature, count, density, max, mean, label."""
        import pandas as pd

        columns = {"feature": np.arange(self.d_sae), "count": self.count, "density": self.density}
        label = [self.labels.get(n, "") for n in range(self.d_sae)]
        return pd.DataFrame({**columns, "max": self.max, "mean": self.mean, "label": label})

    def bind(self, source: Callable[[], Source]) -> None:
        """Give it a model: without one tokens read ``<7>``, and what weights say of a feature is left out.

        Args:
            source: Called when the model is first needed.
        """
        self._source = source
        self.__dict__.pop("_bound", None)

    @cached_property
    def _bound(self) -> Source | None:
        return self._source() if self._source else None

    @property
    def _geometry(self) -> Geometry | None:
        return self._bound.geometry if self._bound else None

    def search(
        self, *, label: Any = None, text: Any = None, density: Any = None, token: Any = None,
        specific_to: Any = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Features with all the properties asked for, best first; the columns of :meth:`to_frame` and those below.

        Args:
            label: Features whose label holds this text.
            text: Features that fire on a text, or on several in a list; column ``on_text`` is their largest activation
                there as a share of their maximum, and NaN for a feature that never fires in the corpus.
            density: Features that fire on a share of the tokens from low to high, both included.
            token: Features some of whose top contexts are largest at this token, given as text or id; column
                ``at_token`` is their share.
            specific_to: Two lists of texts: features that fire on the first and not on the second; columns ``share_a``
                and ``share_b`` are the shares of the texts on which they fire.

        Raises:
            IndexBuildError: A range of densities that is none, or two lists that are none.
            LoadError: A model is needed, and the index is not held by a lab.

        Warns:
            CutTextWarning: A text is longer than what the model reads at once; its end was not looked at.

        Example:
            >>> index.search(density=(1e-4, 1e-2), token=" London")  # doctest: +SKIP
        """
        found: Any = self.to_frame()
        order: list[str] = []
        kept = np.ones(self.d_sae, bool)
        if label is not None:
            kept &= search.labelled(self.labels, self.d_sae, label)
        if density is not None:
            kept &= search.between(self.density, density)
        if token is not None:
            top, positions = self._features["top_activation"], self._features["top_position"]
            wanted = self._needed().token_id(token)
            found["at_token"] = search.share_at_token(top, positions, self._stored.tables["tokens.arrow"]["id"], wanted)
            order.append("at_token")
        if text is not None:
            largest = search.largest_on(self._read(split_prompts(text)[0]), self.d_sae)
            found["on_text"] = np.divide(largest, self.max, out=np.full(self.d_sae, np.nan), where=self.max > 0)
            kept &= largest > 0
            order.append("on_text")
        if specific_to is not None:
            found["share_a"], found["share_b"] = self._shares(specific_to)
            found["specific"] = found["share_a"] - found["share_b"]
            order.append("specific")
        for column in order:
            kept &= ~(found[column].to_numpy() <= 0)
        return found[kept].sort_values([*order[::-1], "density"], ascending=False, kind="stable").reset_index(drop=True)

    def _shares(self, texts: Any) -> list[np.ndarray]:
        if not isinstance(texts, list | tuple) or len(texts) != 2 or any(isinstance(each, str) for each in texts):
            raise IndexBuildError(
                "Features are specific to some texts against others.", got=repr(texts)[:80],
                expected="two lists of texts",
            )  # fmt: skip
        a, b = self._read(list(texts[0]), 4), self._read(list(texts[1]), 4)
        return [search.share_of_texts(a, self.d_sae), search.share_of_texts(b, self.d_sae)]

    def _read(self, prompts: list[Any], stacklevel: int = 3) -> Sequence[Activations]:
        """Activations on texts; says where they were cut."""
        found = self._needed().read(prompts)
        search.warn_of_cut(found, stacklevel)
        return found

    def _needed(self) -> Source:
        if self._bound is None:
            raise LoadError("This index has no model to ask.", do="open it with lab.load_index(path)")
        return self._bound

    # ---- one feature -----------------------------------------------------------------------------------------------

    def feature(self, feature: int | np.integer, *, weights: bool = True) -> FeatureStats:
        """All that is known of one feature.

        Args:
            feature: Its number.
            weights: Whether to add what its weights say: logit effects, neighbours, alignment.

        Raises:
            FeatureIndexError: Not a whole number from 0 to d_sae - 1.
        """
        n = self._number(feature)
        decode = self._decode if self._source else None
        row = FeatureRow(self._stored, n, decode)
        geometry = self._geometry if weights else None
        return FeatureStats(
            feature=FeatureId(self.name, n), n_tokens=self.n_tokens, count=row.count, max=row.max, mean=row.mean,
            std=row.std, quantiles=row.quantiles(), histogram=row.histogram(), fine_histogram=row.fine,
            intervals=row.intervals(), top=row.top(), cofiring=self.cofiring(n),
            logits=self._logits(n) if weights else None,
            neighbours=geometry.neighbours(n, self._near(n)) if geometry else (),
            encoder_cosine=geometry.encoder_cosine(n) if geometry else None,
            neurons=geometry.neurons(n) if geometry else (), label=self.labels.get(n, ""),
            concepts=self.concepts.get(n, ()), hook=self.manifest["sae"]["hook"],
            model=self.manifest["model"]["name"], sample=self.sample,
        )  # fmt: skip

    def _logits(self, n: int) -> LogitEffects | None:
        geometry = self._geometry
        if self._kept is None:
            return geometry.logits(n) if geometry else None
        how = self.manifest["weights"]["how"]
        if how is None:
            return None
        row = {name: self._kept[name][n] for name in ("token", "effect", "logit_histogram")}
        return logit_effects(row, how, geometry.pieces if geometry else _nameless)

    def _near(self, n: int) -> tuple[np.ndarray, np.ndarray] | None:
        return None if self._kept is None else (self._kept["neighbour"][n], self._kept["cosine"][n])

    @property
    def _kept(self) -> store.Columns | None:
        return self._stored.tables.get(store.WEIGHTS)

    def keep_weights(self, *, at_most: Number = float("inf")) -> bool:
        """Write what the weights say of each feature beside the index, so that it is not computed when asked for.

        This takes a matrix product of all decoder rows with the unembedding and with each other.

        Args:
            at_most: Do nothing where that takes more multiplications.

        Returns:
            Whether it is there now.

        Raises:
            LoadError: The index is not held by a lab, which has the weights.
        """
        geometry = self._needed().geometry
        if self._kept is None and self.d_sae > 1 and geometry.work <= at_most:  # one alone has no neighbours
            how = geometry.how if geometry.has_logits else None
            store.add_weights(self.path, self.manifest, geometry.table(), how)
            self._stored = store.read(self.path)
            self._features = self._stored.tables["features.arrow"]
        return self._kept is not None

    def _decode(self, ids: np.ndarray) -> Tokens:
        return self._needed().tokens(ids)

    def cofiring(self, feature: int | np.integer, k: int = N_COFIRING) -> tuple[CoFiring, ...]:
        """The k features that fire most on the same tokens, by Jaccard index.

        Raises:
            FeatureIndexError: Not a whole number from 0 to d_sae - 1.
        """
        return self._cofiring.of(self._number(feature), k)

    @cached_property
    def _cofiring(self) -> CoFiringTable:
        pairs, salted = self._stored.tables["cofiring.arrow"], salt(self.manifest["settings"]["seed"], "token")
        return CoFiringTable(
            self.name, self.count, self._features["sketch"], pairs["token"], pairs["feature"],
            lambda tokens: priority(salted, tokens),
        )  # fmt: skip

    def _number(self, feature: int | np.integer) -> int:
        number = whole_number(feature)
        if number is None or not 0 <= number < self.d_sae:
            raise FeatureIndexError(
                f"SAE '{self.name}' has no such feature.", got=repr(feature),
                expected=f"a whole number in 0..{self.d_sae - 1}",
            )  # fmt: skip
        return number


def _nameless(ids: list[int]) -> tuple[bytes, ...]:
    """Tokens without a tokenizer."""
    return tuple(f"<{i}>".encode() for i in ids)
