"""One pass over a corpus, for all features of one SAE or of several that share the forward passes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from saewidgets.errors import IndexBuildError, LoadError, MismatchError
from saewidgets.index import store
from saewidgets.index.corpus import Corpus, Place
from saewidgets.index.engines import Engine, Round, make_engine
from saewidgets.index.finish import tables
from saewidgets.index.reading import Placed
from saewidgets.index.settings import Progress, ProgressLine, Settings
from saewidgets.index.shard import Kept, Shard
from saewidgets.index.spool import NAMES, Checkpoint, Spool, saved
from saewidgets.index.versions import versions
from saewidgets.models import LanguageModel
from saewidgets.results.steering_vector import Number
from saewidgets.saes import SAE

BUILD = "build"
_BATCHES_READ_AHEAD = 16
_STATE = 3
_MOST_TOKENS = 2**32 - 2


class Builder:
    """Builds the indexes of SAEs that read one model.

    Args:
        model: The model.
        saes: The SAEs, by name, each with the folder that its index goes to.
        texts: The corpus; see :class:`~saewidgets.index.corpus.Corpus`.
        folder: Where the files of the build lie while it goes on, in a folder ``build``.
        settings: What shapes the index.
        on_progress: Called with a :class:`Progress` after each round of batches; returning False stops the build,
            to be gone on with later. None: a line on the standard output where it takes longer; False: nothing.
        checkpoint_seconds: Time between states saved; where one takes long, twenty times as long.
        engine: Who reads; see :func:`~saewidgets.index.engines.make_engine`.
        workers: How many.

    Attributes:
        shard: What is read in this process, and what workers have handed over.
    """

    def __init__(
        self, model: LanguageModel, saes: Mapping[str, tuple[SAE, Path]], texts: Any, folder: Path, settings: Settings,
        on_progress: Callable[[Progress], object] | bool | None = None, checkpoint_seconds: Number = 60,
        engine: str | None = None, workers: int | None = None,
    ) -> None:  # fmt: skip
        self._model, self._saes, self._folder, self._settings = model, dict(saes), folder, settings
        self._line = ProgressLine() if on_progress is None or on_progress is True else None
        self._on_progress: Any = self._line or on_progress or (lambda _: None)
        self._every = checkpoint_seconds
        self._engine = engine, workers
        self._header = {
            "state": _STATE, "settings": settings.to_json(), "model": model_entry(model), "saes": self._sae_entries()
        }  # fmt: skip
        prepends = {sae.prepend_bos for sae, _ in self._saes.values()} - {None}
        if len(prepends) > 1:
            raise MismatchError(
                "The SAEs do not read the same tokens: some were trained with BOS in front, some without.",
                got=", ".join(self._saes), do="build their indexes one after the other",
            )  # fmt: skip
        before = saved(folder / BUILD)
        if before is not None:
            self._check_same(before.header)
        place = Place(**before.header["place"]) if before else Place()
        self._corpus = Corpus(model, texts, min(settings.context, model.n_ctx), next(iter(prepends), None), place)
        self.shard = Shard(model, [sae for sae, _ in self._saes.values()], settings)
        self._spool = Spool(folder / BUILD, model.d_vocab)
        self._restore(before)

    @property
    def state_bytes(self) -> int:
        """Bytes of all that is kept of the features; the same from the first token to the last."""
        return self.shard.nbytes

    def run(self) -> bool:
        """Read the corpus to its end and write the indexes; False where it was stopped.

        Raises:
            IndexBuildError: There is no token to count, or a worker failed.
        """
        try:
            saes = [sae for sae, _ in self._saes.values()]
            engine = make_engine(*self._engine, self.shard, self._model, saes, self._settings)
            try:
                whole = self._read(engine)
            finally:
                engine.close()
            if whole:
                self._finish()
        finally:
            self._spool.close()
            if self._line is not None:
                self._line.close()
        if whole:
            shutil.rmtree(self._spool.folder)
        return whole

    def _read(self, engine: Engine) -> bool:
        started = last_saved = time.monotonic()
        tokens = resumed = self._spool.n_tokens
        texts, every = 0, self._every
        for round_ in chain(self._rounds(), [None]):
            done = engine.collect() if round_ is None else engine.read(round_)
            if round_ is not None and (now := time.monotonic()) - last_saved >= every:
                done += engine.collect()
                self._save()
                last_saved = time.monotonic()
                every = self._every and max(self._every, 20 * (last_saved - now))
            tokens, texts = tokens + sum(each.n_tokens for each in done), texts + sum(each.n_texts for each in done)
            progress = Progress(tokens, texts, self._corpus.n_texts, time.monotonic() - started, resumed)
            if done and self._on_progress(progress) is False:
                engine.collect()
                self._save()
                return False
        return True

    def _rounds(self) -> Iterator[Round]:
        """The windows of some batches each, written down."""
        windows, texts = iter(self._corpus), 0
        wanted = _BATCHES_READ_AHEAD * self._settings.batch_size * min(self._settings.context, self._model.n_ctx)
        while True:
            n_tokens, placed = 0, []
            for window in windows:
                number, start = self._spool.append(window.ids, window.text, window.offset)
                placed.append(Placed(window, number, start))
                n_tokens += len(window)
                if n_tokens >= wanted:
                    break
            if self._spool.n_tokens > _MOST_TOKENS:
                raise IndexBuildError(
                    "The corpus is too large.", got="more tokens", expected=f"at most {_MOST_TOKENS:,}"
                )
            if not placed:
                return
            yield Round(placed, n_tokens, self._corpus.place.texts - texts)
            texts = self._corpus.place.texts

    # ---- going on after a stop -----------------------------------------------------------------------------------

    def _save(self) -> None:
        header = {
            **self._header, "place": asdict(self._corpus.place), "n_tokens": self._spool.n_tokens,
            "n_windows": self._spool.n_windows, "counts": self.shard.plain_counts(),
        }  # fmt: skip
        self._spool.save(header, self.shard.arrays())

    def _restore(self, before: Checkpoint | None) -> None:
        if before is None:
            self._spool.cut(0, 0)
            return
        self._spool.cut(before.header["n_tokens"], before.header["n_windows"])
        self.shard.restore(Kept(before.header["counts"], before.arrays))

    def _check_same(self, header: dict[str, Any]) -> None:
        for what, own in self._header.items():
            if header.get(what) != own:
                raise MismatchError(
                    f"A build with other {what} was begun in {self._folder}.", got=str(own)[:200],
                    expected=str(header.get(what))[:200],
                    do="pass the same again to go on with it, resume=False to begin anew, or another path",
                )  # fmt: skip

    # ---- the end -------------------------------------------------------------------------------------------------

    def _sae_entries(self) -> list[dict[str, Any]]:
        return [sae_entry(name, sae) for name, (sae, _) in self._saes.items()]

    def _finish(self) -> None:
        place = self._corpus.place
        for n, (sae, folder) in enumerate(self._saes.values()):
            counts = self.shard.counts[n]
            if not counts.tokens:
                raise IndexBuildError(
                    "There is no token to count.", got=f"{place.texts} texts, {counts.special} special tokens",
                    expected="a corpus with some text",
                )  # fmt: skip
            corpus = {
                "hash": place.chain, "n_texts": place.texts, "n_empty": place.empty,
                "n_windows": self._spool.n_windows, "n_read": self._spool.n_tokens, "n_tokens": counts.tokens,
                "n_special": counts.special, "n_sinks": counts.sinks, "n_nonfinite": counts.nonfinite,
                "sink_norm": counts.sink_norm,
            }  # fmt: skip
            manifest = {
                "model": self._header["model"], "sae": self._header["saes"][n], "corpus": corpus,
                "settings": self._header["settings"], "versions": versions(),
            }  # fmt: skip
            store.write(folder, tables(self.shard.states[n], self._spool, self._settings), manifest)
            del sae


def model_entry(model: LanguageModel) -> dict[str, Any]:
    """What tells a model from another: its widths, and some numbers of its embedding."""
    return {"name": model.name, "d_model": model.d_model, "d_vocab": model.d_vocab, "probe": probe(model)}


def probe(model: LanguageModel) -> list[float]:
    """Sixteen numbers of the embedding, by which a model is recognised in any number format."""
    weights = next((p for p in model.model.parameters() if p.ndim == 2 and p.is_floating_point()), None)
    if weights is None:
        return []
    rows = np.linspace(0, weights.shape[0] - 1, 4).astype(int).tolist()
    columns = np.linspace(0, weights.shape[1] - 1, 4).astype(int).tolist()
    return [round(float(weights[row, column].detach()), 6) for row in rows for column in columns]


def sae_entry(name: str, sae: SAE) -> dict[str, Any]:
    """What tells an SAE from another."""
    return {
        "name": name, "hook": sae.hook, "kind": sae.kind, "d_sae": sae.d_sae, "content_hash": sae.content_hash
    }  # fmt: skip


def has_begun(folder: Path) -> bool:
    """Whether a folder holds a build that was begun; a folder ``build`` with other files is somebody else's."""
    build = folder / BUILD
    return build.is_dir() and not build.is_symlink() and {path.name for path in build.iterdir()} <= NAMES


def begin_anew(folder: Path, targets: list[Path], keep: bool = False) -> None:
    """Take away an index, or a build that was begun; nothing else.

    Args:
        folder: Of the build.
        targets: Of the indexes.
        keep: Whether an index that is there is an error.

    Raises:
        LoadError: A folder holds other files, or an index that is to be kept.
    """
    for target in {folder, *targets}:
        names = {path.name for path in target.iterdir()} if target.is_dir() else set()
        ours = {f"{name}{end}" for name in store.ALL for end in ("", ".new")} | (
            {BUILD} if has_begun(target) else set()
        )
        others = names - ours - {path.name for path in targets if path.parent == target}
        if others:
            raise LoadError(
                f"{target} holds other files than an index.", got=", ".join(sorted(others)[:5]),
                expected="a new or empty folder, or one with an index",
            )  # fmt: skip
        if keep and store.MANIFEST in names:
            raise LoadError(
                f"There is an index in {target} already.", expected="a new or empty folder",
                do="lab.load_index(path), resume=False to build it anew, or another path",
            )  # fmt: skip
    for target in {folder, *targets}:
        for name in store.ALL:
            (target / name).unlink(missing_ok=True)
        if has_begun(target):
            shutil.rmtree(target / BUILD)
