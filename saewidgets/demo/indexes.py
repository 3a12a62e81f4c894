"""Indexes of the bundled SAEs: their corpus, and how one is built, with the concepts that its features tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saewidgets.index import Builder, Settings, store
from saewidgets.index.concepts import ConceptReader, Spans
from saewidgets.index.corpus import Window
from saewidgets.index.geometry import Geometry
from saewidgets.index.settings import BATCH_TOKENS_CPU

if TYPE_CHECKING:
    from saewidgets.demo import world
    from saewidgets.lab import Lab
    from saewidgets.models import LanguageModel

SEED = 10_000_000
"""Of the documents; see ``STREAMS`` in ``demo/build/settings.py``."""

N_DOCUMENTS = 4_000
SETTINGS = Settings(context=256, batch_size=BATCH_TOKENS_CPU // 256)
MINIMUM_SPANS = 5
"""Concepts with fewer spans in the corpus are not looked for."""


def write_index(
    lab: Lab, name: str, folder: Path, n_documents: int = N_DOCUMENTS, seed: int = SEED, *, quiet: bool = False
) -> None:
    """Build the index of an SAE over documents of the world, with weights and concepts.

    Args:
        lab: Holds the SAE and its model, which reads the world's texts.
        name: Name of the SAE.
        folder: An empty folder.
        n_documents: How many documents.
        seed: Of the documents.
        quiet: Whether to print nothing.
    """
    from saewidgets.demo import world

    documents = world.sample(seed, n_documents)
    model, sae = lab.model_of(name), lab.saes[name]
    texts = [document.text for document in documents]
    builder = Builder(model, {name: (sae, folder)}, texts, folder, SETTINGS, False if quiet else None)
    builder.shard.reader = reader = ConceptReader(builder.shard.reader, DocumentSpans(model, documents))
    builder.run()
    geometry = Geometry(model, name, sae, {})
    how = geometry.how if geometry.has_logits else None
    store.add_weights(folder, store.read_manifest(folder), geometry.table(), how)
    names = [concept.name for concept in world.concepts]
    matches = reader.matches(sae.d_sae, len(names), MINIMUM_SPANS)
    store.add_concepts(folder, store.read_manifest(folder), matches, names, MINIMUM_SPANS)


class DocumentSpans:
    """The labels of documents, window by window.

    Args:
        model: Tokenizes.
        documents: The corpus.
    """

    def __init__(self, model: LanguageModel, documents: list[world.Document]) -> None:
        self._vocabulary, self._documents = model.vocabulary, documents

    def __call__(self, window: Window) -> Spans:
        """The spans in a window, as positions there."""
        from saewidgets.demo.concepts import TokenLabels

        document = self._documents[window.text]
        front = int(window.ids[0] == self._vocabulary.bos_id)
        pieces = self._vocabulary.pieces(window.ids[front:].tolist())
        before = self._vocabulary.encode(document.text)[1][: window.offset] if window.offset else ()
        concept, first, end = TokenLabels(document.text, document.spans).of(pieces, sum(map(len, before)))
        return Spans(concept, first + front, end + front)
