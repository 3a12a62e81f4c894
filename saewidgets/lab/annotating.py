"""Labels, notes, ratings and presets of what a lab holds, kept in files that the user owns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from saewidgets.annotations.exchange import operations_of, write_annotations, write_file
from saewidgets.annotations.neuronpedia import to_neuronpedia
from saewidgets.errors import AnnotationError, SaewidgetsError, UnknownNameError
from saewidgets.lab.keeping import Keeping
from saewidgets.results import Annotation, FeatureId, Ranking, RankingBatch, Target
from saewidgets.results.annotation import NAME_LIMIT
from saewidgets.steering.edits import Edit, as_edits, named
from saewidgets.steering.serialize import edits_from_json, edits_to_json, saes_from_json


class Annotating(Keeping):
    """The part of a :class:`saewidgets.Lab` that keeps what people say."""

    def target(
        self, what: Any = None, *, prompt: str | None = None, position: int | None = None, preset: str | None = None,
        sae: str | None = None,
    ) -> Target:  # fmt: skip
        """What an annotation is about.

        Args:
            what: A feature (``"sae/7"``, 7, a FeatureId), a :class:`Ranking`, or a target, which is returned as it is.
            prompt: With ``position`` a token of a prompt; with a feature too, an example of that feature.
            position: Token of the prompt, from 0; BOS counts.
            preset: Name of a steering preset.
            sae: SAE of a bare index, and whose model is meant; by default the default one.

        Raises:
            AnnotationError: These do not go together, or it is something else; the text has fewer tokens.
            FeatureIndexError: There is no such feature.
            UnknownNameError: There is no such SAE, or one of the ranking's has left the lab.

        Example:
            >>> lab.target("mid/7"), lab.target(prompt="in Paris", position=2)  # doctest: +SKIP
        """
        given = {"prompt": prompt, "position": position, "preset": preset, "sae": sae}
        given = {part: value for part, value in given.items() if value is not None}
        if isinstance(what, Target | Ranking):
            _go_together("a ranking" if isinstance(what, Ranking) else "a target", given, ())
            return what if isinstance(what, Target) else self._ranking_target(what)
        if what is None:
            model = self._reads[self.sae_name(sae)] if sae is not None or self._saes else next(iter(self._slots), "")
            if preset is not None:
                _go_together("a preset", given, ("preset", "sae"))
                return Target("preset", model, name=preset)
            return _within(Target("token", model, prompt=prompt, position=position))
        if not isinstance(what, str | FeatureId | Integral):
            raise AnnotationError(
                "This cannot be annotated.", got=repr(what)[:80],
                expected="a feature such as 'sae/7', one Ranking, or None with prompt= and position=, or with preset=",
                do="annotate the rankings of a batch one by one" if isinstance(what, RankingBatch) else None,
            )  # fmt: skip
        found = self.feature_id(what, sae)
        of_sae = ("sae",) if sae == found.sae else ()
        _go_together(f"feature {found}", given, of_sae if prompt is None else (*of_sae, "prompt", "position"))
        held = self._saes[found.sae]
        own = (self._reads[found.sae], held.hook, held.content_hash, int(found.index))
        return Target("feature", *own) if prompt is None else _within(Target("example", *own, prompt, position))

    def _ranking_target(self, ranking: Ranking) -> Target:
        """Of several SAEs all are named, sorted, so that a ranking of other SAEs is another one."""
        own = []
        for name, hook in zip(ranking.saes, ranking.hooks, strict=True):
            held = self._saes[self.sae_name(name)]
            if held.hook != hook:
                raise UnknownNameError("The ranking is of an SAE that has left the lab.", got=f"'{name}' at {hook}")
            own.append((held.content_hash, hook))
        saes, hooks = (_joined(parts) for parts in zip(*sorted(own), strict=True))
        prompt, position = ranking.prompt_tokens.text, ranking.position
        return Target("ranking", ranking.model, hooks, saes, None, prompt, position, ranking.metric)

    def annotation(self, what: Any, **which: Any) -> Annotation:
        """All that has been said about a feature, a token, an example, a ranking or a preset.

        Args:
            what: As for :meth:`target`.
            which: As for :meth:`target`.

        Example:
            >>> lab.annotation("mid/7").tags  # doctest: +SKIP
            ('place',)
        """
        return self.annotations.annotation(self.target(what, **which))

    def label(self, feature: Any) -> str | None:
        """The label of a feature, on one line; one that came with a file says from where. None where it has none.

        Example:
            >>> lab.label("mid/7")  # doctest: +SKIP
            'London (from Neuronpedia)'
        """
        return self.annotation(feature).shown_label

    def annotate(
        self, what: Any, label: Any = None, note: Any = None, tags: Any = (), stars: bool | None = None, *,
        untag: Any = (), pin: Any = None, unpin: Any = None, **which: Any,
    ) -> Annotation:  # fmt: skip
        """Label a feature or anything else, and say more about it; what is not given stays as it is.

        Args:
            what: As for :meth:`target`.
            label: A short name, one line; "" takes it away.
            note: Plain text; "" takes it away.
            tags: Tags to add.
            stars: True: you star it; False: no longer.
            untag: Tags to remove.
            pin: An example to pin, (text, position).
            unpin: A pinned example to let go of.
            which: As for :meth:`target`.

        Returns:
            What stands now.

        Raises:
            AnnotationError: Something in it cannot be kept; nothing was changed.
            StoreError: It was not saved; it is kept in memory.

        Example:
            >>> lab.annotate("mid/7", label="London", tags=["place"])  # doctest: +SKIP
            >>> lab.annotations.undo()  # doctest: +SKIP
        """
        target = self.target(what, **which)
        return self.annotations.annotate(target, label, note, tags, stars, untag=untag, pin=pin, unpin=unpin)

    def rate(self, what: Any, score: Any, rater: Any = None, **which: Any) -> Annotation:
        """Rate how specific a feature is, or one example of it (with ``prompt`` and ``position``).

        Args:
            what: As for :meth:`target`.
            score: 0 irrelevant, 1 related to the context, 2 loosely related to the marked text, 3 names it cleanly;
                None takes the rating away.
            rater: Who rates; by default ``lab.annotations.author``.
            which: As for :meth:`target`.

        Example:
            >>> lab.rate("mid/7", 3, prompt="in London", position=2)  # doctest: +SKIP
            >>> lab.annotations.agreement("ann", "bob").kappa  # doctest: +SKIP
        """
        return self.annotations.rate(self.target(what, **which), score, rater)

    def import_annotations(self, path: str | Path, sae: str | None = None, source: str | None = None) -> int:
        """Take in a CSV, a JSON of ours, Neuronpedia's explanations, or dashboards; all of the file or nothing.

        Neuronpedia's stand beside people's labels, are shown as coming from there, and never replace them. Dashboards
        of SAEDashboard (``batch-0.json``) and sae_vis (``save_json``) hold no labels: of each feature that fires in
        them the three strongest examples are pinned, and a tag names the tool.

        Args:
            path: The file.
            sae: SAE of rows that name none; by default the default one.
            source: Of Neuronpedia's: the ``layer`` that is wanted, where the file has several.

        Returns:
            How many records it made.

        Raises:
            AnnotationError: The file cannot be read, is something else, or is about another SAE.

        Example:
            >>> lab.import_annotations("6-res-jb.json", sae="layer_6")  # doctest: +SKIP
        """
        name = self.sae_name(sae)
        held = self._saes[name]

        def decode(ids: list[int]) -> str:
            return b"".join(self.model_of(name).vocabulary.pieces(ids)).decode("utf-8", "replace")

        bos = held.prepend_bos is not False
        base = self.target(0, sae=name)
        return len(self.annotations.write(operations_of(path, base, source, held.d_sae, decode=decode, bos=bos)))

    def export_annotations(self, path: str | Path, sae: str | None = None, neuronpedia: Any = None) -> None:
        """Write annotations to one file, ``.csv`` or ``.json``.

        Args:
            path: The file.
            sae: Only what is about this SAE; None: everything in the folder.
            neuronpedia: Neuronpedia's names of the model and the SAE, such as ("gpt2-small", "6-res-jb"): the labels
                of ``sae`` in its format.

        Raises:
            AnnotationError: Another ending, or names that are no pair.
            StoreError: It cannot be written.
        """
        pair = isinstance(neuronpedia, tuple | list) and [type(each) for each in neuronpedia] == [str, str]
        if neuronpedia is not None and not pair:
            names = "the names of model and SAE, such as ('gpt2-small', '6-res-jb')"
            raise AnnotationError("This is no pair of names.", got=repr(neuronpedia)[:80], expected=names)
        found: Sequence[Annotation] = self.annotations.annotations()
        if sae is not None or neuronpedia is not None:
            held = self._saes[self.sae_name(sae)]
            found = [one for one in found if (one.target.hook, one.target.sae) == (held.hook, held.content_hash)]
        if neuronpedia is None:
            write_annotations(found, path)
        else:
            write_file(Path(path).expanduser(), to_neuronpedia(found, *neuronpedia).encode())

    def save_preset(self, name: str, edits: Edit | Sequence[Edit], note: Any = None) -> Annotation:
        """Keep edits under a name, in the same files.

        Hook point and content hash of the SAEs that they name are kept with them; a bare number is one of the default
        SAE.

        Raises:
            EditError: These are no edits.
            FeatureIndexError: What is edited is not the name of a feature.
            UnknownNameError: A bare number, where there is no SAE.

        Example:
            >>> lab.save_preset("calm", [sw.steering.set("mid/7", 4)])  # doctest: +SKIP
            >>> lab.generate("I feel", lab.preset("calm"))  # doctest: +SKIP
        """
        saes: dict[str, tuple[str, str]] = {}

        def known(feature: FeatureId | str | int) -> FeatureId:
            found = FeatureId.parse(feature, self.default_sae if "/" not in str(feature) else None)
            if (held := self._saes.get(found.sae)) is not None:
                saes[found.sae] = (held.hook, held.content_hash)
            return found

        text = edits_to_json([named(edit, known) for edit in as_edits(edits)], saes)
        return self.annotations.annotate(self.target(preset=name), note=note, edits=text)

    def preset(self, name: str) -> list[Edit]:
        """The edits that were kept under a name; they name their SAEs as this lab does.

        Raises:
            UnknownNameError: There are none, or the lab does not hold an SAE that they were kept with.
            EditError: What is kept there is no list of edits.
        """
        kept = self.annotation(None, preset=name).edits
        if kept is None:
            raise UnknownNameError(
                "There is no such preset.", got=repr(name), expected=", ".join(self.presets) or "none"
            )
        edits = edits_from_json(kept)
        here = {own: self._name_here(own, *what) for own, what in saes_from_json(kept).items()}

        def known(feature: FeatureId | str | int) -> FeatureId:
            found = FeatureId.parse(feature)
            return FeatureId(here.get(found.sae, found.sae), found.index)

        return [named(edit, known) for edit in edits] if any(own != name for own, name in here.items()) else edits

    def _name_here(self, name: str, hook: str, content_hash: str) -> str:
        """The name of the SAE with this content; of several its own name, then one whose maxima are known."""
        for one in sorted(self._saes, key=lambda held: (held != name, self._saes[held].reference_max is None)):
            if self._saes[one].hook == hook and self._saes[one].content_hash == content_hash:
                return one
        raise UnknownNameError(
            "The lab does not hold the SAE that this preset steers.",
            got=f"an SAE once named '{name}', at {hook}, hash {content_hash[:12]}"[:200],
            expected=f"one of that content; here are {', '.join(map(repr, self._saes)) or 'none'}",
            do="add it with lab.add_sae(...)",
        )

    @property
    def presets(self) -> tuple[str, ...]:
        """Names of the presets of the default SAE's model."""
        try:
            model = self.target(preset="any").model
        except SaewidgetsError:
            return ()
        return tuple(
            one.target.name for one in self.annotations.annotations("preset") if one.edits and one.target.model == model
        )


def _go_together(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    odd = [f"{part}={value!r}"[:80] for part, value in given.items() if part not in known]
    if odd:
        raise AnnotationError(
            "These do not go together.", got=f"{what} with {', '.join(odd)}",
            expected="a feature, and for an example prompt= and position=; a ranking alone; None with prompt= and "
            "position= (a token), or with preset=; sae= is that of the feature",
        )  # fmt: skip


def _within(target: Target) -> Target:
    """The target, if its text can have so many tokens: each has a byte, and at most one special one before it."""
    most = 2 * len((target.prompt or "").encode())
    if target.position is not None and target.position > most:
        raise AnnotationError("The prompt has no such position.", got=target.position, expected=f"{most} at most")
    return target


def _joined(parts: Iterable[str]) -> str:
    """Several names as one that a target can hold."""
    text = ",".join(parts)
    return text if len(text) <= NAME_LIMIT else hashlib.sha256(text.encode()).hexdigest()
