"""Labels, notes, ratings and presets of what a lab holds, kept in files that the user owns."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saewidgets.annotations import DEFAULT_FOLDER, AnnotationStore, open_store
from saewidgets.annotations.exchange import operations_of, write_annotations, write_file
from saewidgets.annotations.neuronpedia import to_neuronpedia
from saewidgets.errors import AnnotationError, SaewidgetsError, UnknownNameError
from saewidgets.lab.holdings import Holdings
from saewidgets.results import Annotation, Ranking, Target
from saewidgets.saes import SAE
from saewidgets.steering.edits import Edit
from saewidgets.steering.serialize import edits_from_json, edits_to_json


class FeatureLabels(Mapping[int, str]):
    """The labels of one SAE's features, read from the lab's annotations as they stand; views read ``sae.labels``."""

    def __init__(self, lab: Annotating, sae: SAE) -> None:
        self._lab = weakref.ref(lab)
        self._sae = weakref.ref(sae)
        self._made: tuple[AnnotationStore, int, dict[int, str]] | None = None

    def now(self) -> dict[int, str]:
        """All labels as they stand, not to be changed; no SAE is hashed where nothing has been said."""
        lab, sae = self._lab(), self._sae()
        if lab is None or sae is None or not len(lab.annotations):
            return {}
        store, version = lab.annotations, lab.annotations.version
        if self._made is None or self._made[0] is not store or self._made[1] != version:
            self._made = (store, version, store.labels(sae.hook, sae.content_hash))
        return self._made[2]

    def __getitem__(self, feature: Any) -> str:
        return self.now()[feature]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.now()))

    def __len__(self) -> int:
        return len(self.now())

    def __reduce__(self) -> tuple[type[dict], tuple[dict[int, str]]]:
        return dict, (dict(self),)  # a copy, or a pickle, of an SAE has the labels that stood then

    def __repr__(self) -> str:
        return f"FeatureLabels of {len(self)} features"


class Annotating(Holdings):
    """The part of a :class:`saewidgets.Lab` that keeps what people say."""

    _annotations: AnnotationStore | None = None

    @property
    def annotations(self) -> AnnotationStore:
        """Where labels, notes, ratings and presets are kept: by default the folder ``saewidgets_annotations``.

        That is beside the notebook; it is made at the first write. A path, or a store, may be assigned. Labs that use
        the same folder share one store, and hear of each other's changes.

        Example:
            >>> lab.annotations = "my_notes"  # doctest: +SKIP
            >>> lab.annotations.to_frame()  # doctest: +SKIP
        """
        if self._annotations is None:
            self._annotations = open_store(DEFAULT_FOLDER)
        return self._annotations

    @annotations.setter
    def annotations(self, where: Any) -> None:
        if not isinstance(where, AnnotationStore | str | os.PathLike):
            raise AnnotationError("This is no place for annotations.", got=repr(where)[:80], expected="a folder")
        self._annotations = where if isinstance(where, AnnotationStore) else open_store(where)

    def _hold(self, name: str, sae: SAE, model: str) -> None:
        # Views ask an SAE for its labels; those that a user has put there stay.
        if isinstance(vars(sae).get("labels"), FeatureLabels | None):
            vars(sae)["labels"] = FeatureLabels(self, sae)
        super()._hold(name, sae, model)

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
            AnnotationError: These do not go together.
            FeatureIndexError: There is no such feature.
            UnknownNameError: There is no such SAE.

        Example:
            >>> lab.target("mid/7"), lab.target(prompt="in Paris", position=2)  # doctest: +SKIP
        """
        if isinstance(what, Target):
            return what
        if isinstance(what, Ranking):
            return self._ranking_target(what)
        if what is None:
            model = self._reads[self.sae_name(sae)] if sae is not None or self._saes else next(iter(self._slots), "")
            if preset is not None:
                return Target("preset", model, name=preset)
            return Target("token", model, prompt=prompt, position=position)
        found = self.feature_id(what, sae)
        held = self._saes[found.sae]
        own = (self._reads[found.sae], held.hook, held.content_hash, int(found.index))
        return Target("feature", *own) if prompt is None else Target("example", *own, prompt, position)

    def _ranking_target(self, ranking: Ranking) -> Target:
        only = ranking.saes[0] if len(ranking.saes) == 1 else None
        held = self._saes.get(only) if only is not None else None
        hook, sae = ("", "") if held is None else (held.hook, held.content_hash)
        prompt, position = ranking.prompt_tokens.text, ranking.position
        return Target("ranking", ranking.model, hook, sae, None, prompt, position, ranking.metric)

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

    def export_annotations(
        self, path: str | Path, sae: str | None = None, neuronpedia: tuple[str, str] | None = None
    ) -> None:
        """Write annotations to one file, ``.csv`` or ``.json``.

        Args:
            path: The file.
            sae: Only what is about this SAE; None: everything in the folder.
            neuronpedia: Neuronpedia's names of the model and the SAE, such as ("gpt2-small", "6-res-jb"): the labels
                of ``sae`` in its format.

        Raises:
            AnnotationError: Another ending.
            StoreError: It cannot be written.
        """
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

        Example:
            >>> lab.save_preset("calm", [sw.steering.set("mid/7", 4)])  # doctest: +SKIP
            >>> lab.generate("I feel", lab.preset("calm"))  # doctest: +SKIP
        """
        text = edits_to_json([edits] if isinstance(edits, Edit) else list(edits))
        return self.annotations.annotate(self.target(preset=name), note=note, edits=text)

    def preset(self, name: str) -> list[Edit]:
        """The edits that were kept under a name.

        Raises:
            UnknownNameError: There are none.
            EditError: What is kept there is no list of edits.
        """
        kept = self.annotation(None, preset=name).edits
        if kept is None:
            raise UnknownNameError(
                "There is no such preset.", got=repr(name), expected=", ".join(self.presets) or "none"
            )
        return edits_from_json(kept)

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
