"""Indexes: every feature of an SAE over a corpus."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from saewidgets.analysis.activations import activations
from saewidgets.errors import MismatchError, UnknownNameError
from saewidgets.index import store
from saewidgets.index.build import BUILD, Builder, begin_anew, has_begun, probe
from saewidgets.index.corpus import Corpus
from saewidgets.index.engines import check_engine
from saewidgets.index.feature_index import FeatureIndex, Source
from saewidgets.index.folders import as_path, discard, folder_for, folder_name
from saewidgets.index.geometry import Geometry
from saewidgets.index.settings import BATCH_TOKENS, BATCH_TOKENS_CPU, Settings, check_reporting
from saewidgets.lab.keeping import Keeping
from saewidgets.results import Activations, FeatureStats


class Indexing(Keeping):
    """The part of a :class:`saewidgets.Lab` that knows features over a corpus."""

    def __init__(self, model: Any, name: str | None = None) -> None:
        super().__init__(model, name)
        self._indexes: dict[str, FeatureIndex] = {}

    @property
    def indexes(self) -> Mapping[str, FeatureIndex]:
        """The index of each SAE that has one, by the SAE's name, read-only; none is built for it."""
        for name in [name for name in self._saes if name not in self._indexes]:
            self._index_on_first_use(name, build=False)
        return MappingProxyType(self._indexes)

    def build_index(
        self,
        texts: Any,
        sae: str | Sequence[str] | None = None,
        context: int = 128,
        path: Any = None,
        *,
        batch_size: int | None = None,
        examples: int = 20,
        per_interval: int = 10,
        seed: int = 0,
        mask_special: bool = True,
        mask_sinks: bool = False,
        on_progress: Any = None,
        resume: bool = True,
        weights: bool | None = None,
        checkpoint_seconds: Any = 60,
        engine: str | None = None,
        workers: int | None = None,
    ) -> Any:
        """Read a corpus once and keep, of every feature, what a dashboard shows.

        Memory does not grow with the corpus. The result depends on texts, SAE and settings alone: it is the same after
        an interruption, and the same for an SAE alone as together with others. A text longer than ``context`` is cut
        into windows; texts are not joined.

        Args:
            texts: An iterable of texts, of lists of token ids (taken as they are), or of rows of a dataset with "text",
                "input_ids" or "tokens". It is read once.
            sae: Name of the SAE, or of several that read one model and share its forward passes; by default the first.
            context: Most tokens of a window, BOS included; at most what the model reads.
            path: Folder for the index; for several SAEs each has a folder in it. None: a folder that is deleted with
                the index.
            batch_size: Windows that run together; by default as many as make 1024 tokens on a CPU, else
                4096.
            examples: Distinct contexts with the largest activation that are kept of each feature.
            per_interval: Activations sampled uniformly from each of the ten intervals of equal width over (0, max].
            seed: Of the samples.
            mask_special: Whether BOS, EOS and pad are left out.
            mask_sinks: Whether to leave out tokens whose activation is more than ten times as long as the median.
            on_progress: Called with a :class:`~saewidgets.index.Progress` every few batches; returning False stops, and
                the same call goes on later. By default a line on the standard output where it takes longer; False:
                nothing.
            resume: Whether to go on with what is at ``path``; otherwise it is built anew.
            weights: Whether to keep what the weights say of each feature (logit effects, neighbours) too, which is
                computed when it is asked for otherwise. None: where it takes less than a twentieth of the pass.
            checkpoint_seconds: How often the state is written to disk, from which a killed build goes on; less often
                where writing takes more than a twentieth of the time.
            engine: None: this process reads. "ray": the workers of a Ray cluster read, each with a copy of model and
                SAEs, and what they keep is merged exactly. A cluster that runs is used (``ray.init(address=...)``),
                else one is started on this machine and ended again. The index is the same, byte for byte, where the
                machines are alike and compute with as many threads; a build begun with one engine goes on with another.
            workers: How many, each with as many CPU cores as this process has threads where the cluster has so many.
                None: as many as the cluster has room for, or one for each GPU if the model is on one.

        Returns:
            The :class:`~saewidgets.index.FeatureIndex`; for a list of SAEs a dict of them; None where it was stopped.
            The lab holds them, and :meth:`feature` reads them.

        Raises:
            IndexBuildError: No token to count, a number out of its range, an argument of another type, an engine that
                is not installed, or a worker that failed.
            PromptError: Something among the texts that is none; names its number.
            MismatchError: ``path`` holds an index of another SAE, corpus or other settings, or SAEs of several models.
            LoadError: ``path`` holds other files.

        Example:
            >>> index = lab.build_index(texts, path="my_index")  # doctest: +SKIP
            >>> lab.feature("sae/123").top[0].tokens.text  # doctest: +SKIP
        """
        several = isinstance(sae, list | tuple)
        asked: Sequence[Any] = sae if isinstance(sae, list | tuple) else [sae]
        names = list(dict.fromkeys(self.sae_name(each) for each in asked))
        if not names:
            raise UnknownNameError("No SAE is named.", got="an empty list", expected="the name of an SAE")
        model = self.model_of(names[0])
        if any(self.model_of(each) is not model for each in names):
            raise MismatchError("The SAEs read different models.", got=", ".join(names), expected="SAEs of one model")
        settings = Settings(context, 1, examples, per_interval, seed, mask_special, mask_sinks)
        settings = replace(
            settings, batch_size=_windows_at_once(model, settings.context) if batch_size is None else batch_size
        )
        check_engine(engine, workers)
        check_reporting(on_progress, checkpoint_seconds)
        reading = {"checkpoint_seconds": checkpoint_seconds, "engine": engine, "workers": workers}
        folder = folder_for(path)
        targets = {each: folder / folder_name(each) if several else folder for each in names}
        try:
            whole = self._build(names, texts, folder, targets, settings, on_progress, resume, reading)
            found = {each: self.load_index(targets[each], each) for each in names} if whole else None
        except BaseException:
            if path is None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        for index in (found or {}).values():
            if weights is not False:
                index.keep_weights(at_most=float("inf") if weights else self._work_of(index) / 20)
        if path is None and found is not None:
            for index in found.values():
                weakref.finalize(index, discard, index.path, folder)
        elif path is None:
            shutil.rmtree(folder)
        return found if several or found is None else found[names[0]]

    def _build(
        self, names: list[str], texts: Any, folder: Path, targets: dict[str, Path], settings: Settings,
        on_progress: Any, resume: bool, reading: dict[str, Any],
    ) -> bool:  # fmt: skip
        begun = has_begun(folder)
        if resume and all((target / store.MANIFEST).exists() for target in targets.values()):
            if begun:  # whole, but the process died while it cleared up
                shutil.rmtree(folder / BUILD)
            self._check_whole(targets, texts, settings)
            return True
        if not resume or not begun:
            Corpus(self.model_of(names[0]), texts, settings.context, None)  # an error before anything is taken away
            begin_anew(folder, list(targets.values()), keep=resume)
        pairs = {each: (self._saes[each], targets[each]) for each in names}
        model = self.model_of(names[0])
        return Builder(model, pairs, texts, folder, settings, on_progress, **reading).run()

    def load_index(self, path: Any, sae: str | None = None) -> FeatureIndex:
        """Open an index and hold it; where the SAE has no density and no maxima of its own, they are taken from it.

        Args:
            path: The folder that :meth:`build_index` wrote.
            sae: Name of the SAE; by default the one that it was built with, whatever it is called here.

        Raises:
            IndexBuildError: No path.
            LoadError: It is no index, one of a newer version, or one that is cut short or damaged.
            MismatchError: It was built with another SAE, or another model.
            UnknownNameError: There is no such SAE.
        """
        folder = as_path(path)
        own = store.read_manifest(folder)["sae"]
        name = self._sae_of(own) if sae is None else self.sae_name(sae)
        held = self._saes[name]
        if held.content_hash != own["content_hash"] or held.d_sae != own["d_sae"]:
            raise MismatchError(
                f"The index in {folder} was built with another SAE than '{name}'.",
                got=f"hash {own['content_hash'][:12]}, {own['d_sae']} features",
                expected=f"hash {held.content_hash[:12]}, {held.d_sae} features",
                do="build an index with this SAE, or add the SAE that it was built with",
            )  # fmt: skip
        index = FeatureIndex(folder, name)
        self._check_model(index, name)
        owner = weakref.ref(index)
        index.bind(lambda: self._source_of(owner(), name))
        index.labels = self.labels_of(name)
        self._indexes[name] = index
        if held.density is None:
            held.density = index.density.astype("float32")
        if held.reference_max is None:
            held.reference_max = index.max.copy()
            held.n_reference_tokens, held.reference_sample = index.n_tokens, index.sample
        return index

    def feature(self, feature: Any, sae: str | None = None) -> FeatureStats:
        """All that is known of one feature.

        Args:
            feature: ``"sae/123"``, or its number.
            sae: SAE of a bare number; by default the first added.

        Raises:
            FeatureIndexError: Not a whole number from 0 to d_sae - 1.
            UnknownNameError: There is no such SAE, or no index of it.

        Example:
            >>> lab.feature("sae/123").intervals_frame()  # doctest: +SKIP
        """
        found = self.feature_id(feature, sae)
        return self._index_of(found.sae, found).feature(found.index)

    def remove(self, name: str) -> None:
        """Let go of a model or an SAE, and of its index; files stay.

        Raises:
            UnknownNameError: The lab holds nothing of that name.
            MismatchError: A model that SAEs still read.
        """
        super().remove(name)
        self._indexes.pop(name, None)

    # ---- what the above share --------------------------------------------------------------------------------------

    def _index_of(self, name: str, asked: Any = None) -> FeatureIndex:
        """The index of an SAE.

        Raises:
            UnknownNameError: There is none.
        """
        index = self._indexes.get(name)
        if index is None:
            index = self._index_on_first_use(name, build=True)
        if index is None:
            raise UnknownNameError(
                f"There is no index of SAE '{name}'.", got=str(asked or name),
                expected=", ".join(map(repr, self._indexes)) or "an index",
                do=f"lab.build_index(texts, {name!r}) or lab.load_index(path)",
            )  # fmt: skip
        return index

    def _index_on_first_use(self, name: str, build: bool) -> FeatureIndex | None:
        """An index that comes with an SAE, held from now on; a lab of the user's own SAEs has none.

        Args:
            name: Of the SAE.
            build: Whether one may be built, which takes a while; else only what is there is opened.
        """
        del name, build

    def _work_of(self, index: FeatureIndex) -> float:
        """About how many multiplications the pass over an index's corpus took."""
        model, sae = self.model_of(index.name), self._saes[index.name]
        blocks: Any = getattr(model.model, "blocks", ())
        block, enters = model.site(sae.hook).block, sae.hook.endswith("resid_pre")
        below = list(blocks)[: block + (not enters)] if block is not None else []
        weights = sum(p.numel() for part in below for p in part.parameters())
        return float(index.manifest["corpus"]["n_read"]) * (weights + sae.d_in * sae.d_sae)

    def _sae_of(self, own: dict[str, Any]) -> str:
        """The SAE that an index was built with; the one of the same name first."""
        names = sorted(self._saes, key=lambda name: name != own["name"])
        widths = [name for name in names if self._saes[name].d_sae == own["d_sae"]]
        found = next((name for name in widths if self._saes[name].content_hash == own["content_hash"]), None)
        if found is None:
            raise MismatchError(
                "The lab does not hold the SAE that the index was built with.",
                got=f"an index of '{own['name'][:80]}' at {own['hook'][:80]}, hash {own['content_hash'][:12]}",
                expected=", ".join(f"'{name}'" for name in self._saes) or "an SAE", do="add that SAE with lab.add_sae",
            )  # fmt: skip
        return found

    def _check_model(self, index: FeatureIndex, name: str) -> None:
        """Compare models; the lab's is not built for it."""
        if self._slots[self._reads[name]].built is not None:
            model = self.model_of(name)
            store.check_model(index.manifest, model.name, model.d_vocab, probe(model))

    def _source_of(self, index: FeatureIndex | None, name: str) -> Source:
        """What an index asks for when the model is first needed: it is built, and compared with the index's."""
        model, sae = self.model_of(name), self._saes[name]
        if index is not None:
            self._check_model(index, name)
        others = {n: each for n, each in self._saes.items() if self._reads[n] == self._reads[name]}

        def read(prompts: list[Any]) -> Sequence[Activations]:
            tokens = [model.tokenize(prompt, sae.prepend_bos) for prompt in prompts]
            return activations(model, sae, tokens, sae_name=name)

        return Source(model.tokenize, Geometry(model, name, sae, others), read, model.token_id)

    def _check_whole(self, targets: dict[str, Path], texts: Any, settings: Settings) -> None:
        """Pass if what is at the paths is what would be built."""
        hashes = set()
        for name, target in targets.items():
            manifest = store.read_manifest(target)
            wrong = next((k for k, v in settings.to_json().items() if manifest["settings"].get(k) != v), None)
            if wrong or manifest["sae"]["content_hash"] != self._saes[name].content_hash:
                raise MismatchError(
                    f"There is another index in {target}.", got=f"another {wrong or 'SAE'}",
                    do="lab.load_index(path), resume=False to build it anew, or another path",
                )  # fmt: skip
            hashes.add(manifest["corpus"]["hash"])
        model = self.model_of(next(iter(targets)))
        if hashes != {Corpus(model, texts, settings.context, None).digest()}:
            raise MismatchError(
                f"There is an index of other texts in {next(iter(targets.values()))}.",
                do="lab.load_index(path), resume=False to build it anew, or another path",
            )  # fmt: skip


def _windows_at_once(model: Any, context: int) -> int:
    """How many windows run together where nobody says."""
    tokens = BATCH_TOKENS_CPU if model.device.type == "cpu" else BATCH_TOKENS
    return max(1, tokens // min(context, model.n_ctx))
