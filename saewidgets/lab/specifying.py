"""How well a feature tells one thing, by a rule or by what people say of its examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from saewidgets.analysis.predicates import as_predicate
from saewidgets.analysis.specificity import Scores, firings, of_firings, of_sample
from saewidgets.errors import SpecificityError
from saewidgets.lab.annotating import Annotating
from saewidgets.lab.indexing import Indexing
from saewidgets.results import Example, FeatureStats, Specificity, Target
from saewidgets.results.numbers import whole_number


class Specifying(Annotating, Indexing):
    """The part of a :class:`saewidgets.Lab` that asks what a feature fires on."""

    def specificity(self, feature: Any, predicate: Any, texts: Any = None, *, within: Any = 0) -> Specificity:
        """How well a feature tells the tokens that a rule marks, by the strength of its activation.

        With texts every token of them is run: precision and recall are exact there, and intervals and thresholds are
        in units of the larger of what these texts show and the maximum known before (that of the index, else the SAE's
        reference maximum). Without texts the samples of the index are looked at: precision is an estimate with its
        interval, shares are the index's, and recall is known among the firings alone.

        Args:
            feature: ``"sae/123"``, or the number of a feature of the first SAE.
            predicate: A regular expression, as text or compiled: tokens that overlap a match. A set or list of texts:
                tokens that read exactly so (``" Paris"``). A function from :class:`~saewidgets.results.Tokens` to bool
                [pos]. A :class:`saewidgets.Predicate`. It sees texts whole, and of an index its windows.
            texts: Texts, lists of token ids, or rows of a dataset; None: the index.
            within: How many tokens after a marked token count as marked too, for features that fire after the word.

        Raises:
            SpecificityError: The predicate cannot be used, or does not mark tokens.
            FeatureIndexError: There is no such feature.
            UnknownNameError: There is no such SAE, or neither texts nor an index of it.
            PromptError: Something among the texts that is none; names its number.

        Example:
            >>> found = lab.specificity("sae/7", r"London|Paris")  # doctest: +SKIP
            >>> found.overall_precision, found.at(0.3).precision  # doctest: +SKIP
            (0.41, 0.93)
        """
        rule, name = as_predicate(predicate).within(within), self.feature_id(feature)
        if texts is None:
            return _of_index(self._stats(feature), rule.name, rule.marks)
        sae, index = self._saes[name.sae], self.indexes.get(name.sae)
        context = None if index is None else int(index.manifest["settings"]["context"])
        found = firings(self.model_of(name.sae), sae, int(name.index), texts, rule, context)
        known, source, largest = 0.0, "", float(found.values.max(initial=0.0))
        if index is not None:
            known, source = float(index.max[name.index]), index.sample
        elif sae.reference_max is not None:
            known, source = float(sae.reference_max[name.index]), sae.reference_sample or "the SAE's reference sample"
        # The same text in another batch differs in the last digits.
        source = "these texts" if largest > known * (1 + 1e-5) else source
        return of_firings(
            found, max(largest, known), feature=name, what=rule.name, max_from=source,
            sample=f"all {found.n_tokens:,} tokens of the texts",
        )  # fmt: skip

    def specificity_of_ratings(self, feature: Any, rater: Any = None, at_least: Any = 3) -> Specificity:
        """How specific people find a feature, by the strength of its activation: the ratings of its examples.

        Examples are those of the index; each counts in the interval of its activation. Ratings are given with
        :meth:`rate` and :meth:`example_target`.

        Args:
            feature: ``"sae/123"``, or the number of a feature of the first SAE.
            rater: Whose ratings; None: everybody's, pooled. How far two agree: ``lab.annotations.agreement``.
            at_least: The lowest score that suffices for precision: 1, 2 or 3.

        Raises:
            SpecificityError: Nobody, or not this rater, has rated examples that the index holds.
            FeatureIndexError: There is no such feature.
            UnknownNameError: There is no such SAE, or no index of it.

        Example:
            >>> example = lab.feature("sae/7").intervals[4].examples[0]  # doctest: +SKIP
            >>> lab.rate(lab.example_target("sae/7", example), 3)  # doctest: +SKIP
            >>> lab.specificity_of_ratings("sae/7").to_frame()  # doctest: +SKIP
        """
        least = whole_number(at_least)
        if least is None or not 1 <= least <= 3:
            raise SpecificityError("This is no score that suffices.", got=repr(at_least)[:80], expected="1, 2 or 3")
        stats = self._stats(feature)
        given = {key: scores for key, scores in self._ratings(stats, rater) if scores}
        drawn = list(self._held(stats, [e for each in stats.intervals for e in each.examples]))
        keys = {key for key, _ in drawn}
        # Windows of the same tokens share a rating; each that was drawn counts, or the sample were none of firings.
        held = drawn + [one for one in self._held(stats, list(stats.top)) if one[0] not in keys]
        rated = [(key, value) for key, value in held if key in given]
        if not rated:
            raise _unrated(
                stats, rater, len(given), sorted({r for _, each in self._ratings(stats, None) for r in each})
            )
        values = [value for _, value in rated]
        counts = [np.bincount(list(given[key].values()), minlength=4) for key, _ in rated]
        raters = sorted({name for each in given.values() for name in each})
        lost, chosen = len(given.keys() - {key for key, _ in held}), sum(key not in keys for key, _ in rated)
        notes = (
            *([f"The ratings of {len(raters)} raters are pooled."] if len(raters) > 1 else []),
            *([f"{lost} rated examples are not in this index and are left out."] if lost else []),
            *([f"{chosen} rated examples are top examples, not of the uniform samples."] if chosen else []),
        )
        return of_sample(
            stats, Scores(np.array(values, np.float64), np.array(counts, np.int64)), least, notes, kind="rating",
            what=f"rated >= {least}", rater=", ".join(raters), max_from=stats.sample,
            sample=f"{len(values)} rated examples of the {stats.sample}",
        )  # fmt: skip

    def example_target(self, feature: Any, example: Any) -> Target:
        """An example of a feature as something to rate: the text of its window, and the token in it.

        Raises:
            SpecificityError: Not an example of an index.
            FeatureIndexError: There is no such feature.
            UnknownNameError: There is no such SAE.

        Example:
            >>> target = lab.example_target("sae/7", lab.feature("sae/7").top[0])  # doctest: +SKIP
            >>> lab.rate(target, 2, rater="ann")  # doctest: +SKIP
        """
        if not isinstance(example, Example):
            raise SpecificityError(
                "This is no example.", got=repr(example)[:80], expected="one of lab.feature(...).top or .examples"
            )
        return self.target(feature, prompt=example.tokens.text, position=example.position)

    # ---- what the above share --------------------------------------------------------------------------------------

    def _stats(self, feature: Any) -> FeatureStats:
        """Of the index, without what weights say."""
        name = self.feature_id(feature)
        return self._index_of(name.sae, name).feature(name.index, weights=False)

    def _held(self, stats: FeatureStats, examples: list[Example]) -> Iterator[tuple[Any, float]]:
        for example in examples:
            yield self.example_target(stats.feature, example).key, float(example.activation)

    def _ratings(self, stats: FeatureStats, rater: Any) -> Iterator[tuple[Any, dict[str, int]]]:
        """Of each example of a feature that has been rated, the scores by rater."""
        own = self.target(stats.feature).key[1:]
        for one in self.annotations.annotations("example"):
            if one.target.key[1:4] == own and one.ratings:
                yield one.target.key, {r.rater: r.score for r in one.ratings if rater in (None, r.rater)}


def _of_index(stats: FeatureStats, what: str, marks: Any) -> Specificity:
    values, counts, seen = [], [], {}
    for interval in stats.intervals:
        for example in interval.examples:
            key = (example.text, example.offset, len(example))
            if key not in seen:
                seen[key] = marks(example.tokens)
            yes = bool(seen[key][example.position])
            values.append(float(example.activation))
            counts.append((not yes, yes))
    scores = Scores(np.array(values, np.float64), np.array(counts, np.int64).reshape(-1, 2))
    return of_sample(
        stats, scores, 1, kind="predicate", what=what, max_from=stats.sample,
        sample=f"{len(values):,} sampled firings of the {stats.sample}",
    )  # fmt: skip


def _unrated(stats: FeatureStats, rater: Any, elsewhere: int, raters: list[str]) -> SpecificityError:
    who = "Nobody has rated" if rater is None else f"Rater {repr(rater)[:80]} has rated none of the"
    got = f"{elsewhere} rated examples that this index does not hold" if elsewhere else "no rated example"
    return SpecificityError(
        f"{who} examples of {stats.feature}.", got=got, expected=", ".join(raters) or None,
        do="lab.rate(lab.example_target(feature, example), score), with examples of lab.feature(feature)",
    )  # fmt: skip
