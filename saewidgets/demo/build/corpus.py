"""Documents of the world as token ids, with their labels as token spans."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt16
from tokenizers import Tokenizer

from saewidgets.demo import world
from saewidgets.demo.build.settings import BOS_ID, PAD_ID, Settings, stream_seed

CHUNK = 2_000
OPEN_ROWS = 16


@dataclass(frozen=True)
class Corpus:
    """Documents as one flat array of token ids, without special tokens.

    Attributes:
        ids: All token ids, one document after the other.
        starts: First token of each document and, last, the number of tokens.
        log_prob: Log probability of each document under the grammar, in nats.
    """

    ids: UInt16[np.ndarray, " token"]
    starts: Int64[np.ndarray, " document_plus_one"]
    log_prob: Float64[np.ndarray, " document"]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def document(self, index: int) -> np.ndarray:
        """Token ids of one document."""
        return self.ids[self.starts[index] : self.starts[index + 1]]

    def save(self, path: Path) -> None:
        """Write as a numpy archive."""
        np.savez(path, ids=self.ids, starts=self.starts, log_prob=self.log_prob)

    @staticmethod
    def load(path: Path) -> Corpus:
        """Read what ``save`` wrote."""
        with np.load(path) as held:
            return Corpus(held["ids"], held["starts"], held["log_prob"])


@dataclass(frozen=True)
class TokenSpans:
    """Labels as half-open ranges of tokens of a corpus.

    Attributes:
        concept: Index of the concept in ``world.concepts``.
        first: First token (flat) that overlaps the span.
        end: One past the last token that overlaps the span.
    """

    concept: Int32[np.ndarray, " span"]
    first: Int64[np.ndarray, " span"]
    end: Int64[np.ndarray, " span"]


def documents(settings: Settings, purpose: str, count: int) -> Iterator[world.Document]:
    """The first ``count`` documents of the stream of one purpose."""
    chunks = -(-count // CHUNK)
    every = (doc for chunk in range(chunks) for doc in world.sample(stream_seed(settings, purpose, chunk), CHUNK))
    return islice(every, count)


def _encode_chunk(job: tuple[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tokenizer_json, seed = job
    drawn = world.sample(seed, CHUNK)
    encoded = Tokenizer.from_str(tokenizer_json).encode_batch([doc.text for doc in drawn], add_special_tokens=False)
    lengths = np.array([len(one.ids) for one in encoded], dtype=np.int64)
    ids = np.fromiter((token for one in encoded for token in one.ids), dtype=np.uint16, count=int(lengths.sum()))
    return ids, lengths, np.array([doc.log_prob for doc in drawn])


def encode(settings: Settings, purpose: str, count: int, tokenizer: Tokenizer) -> Corpus:
    """Sample and tokenise whole chunks until there are at least ``count`` documents, on all cores; keep ``count``."""
    jobs = [
        (tokenizer.to_str(), stream_seed(settings, purpose, chunk)) for chunk in range(-(-count // CHUNK))
    ]  # fmt: skip
    if len(jobs) < 4 or settings.threads == 1:
        parts = [_encode_chunk(job) for job in jobs]
    else:
        with multiprocessing.get_context("spawn").Pool(settings.threads) as pool:
            parts = pool.map(_encode_chunk, jobs, chunksize=4)
    lengths = np.concatenate([part[1] for part in parts])[:count]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate([part[0] for part in parts])[: starts[-1]]
    return Corpus(ids, starts, np.concatenate([part[2] for part in parts])[:count])


def labelled(settings: Settings, purpose: str, count: int, tokenizer: Tokenizer) -> tuple[Corpus, TokenSpans]:
    """The documents of one purpose with their labels as token spans (a token belongs to a span it overlaps)."""
    number = {concept.name: index for index, concept in enumerate(world.concepts)}
    drawn = list(documents(settings, purpose, count))
    encoded = tokenizer.encode_batch([doc.text for doc in drawn], add_special_tokens=False)
    spans: list[tuple[int, int, int]] = []
    at = 0
    for doc, one in zip(drawn, encoded, strict=True):
        opening = np.array([offset[0] for offset in one.offsets])
        closing = np.array([offset[1] for offset in one.offsets])
        for start, end, name in doc.spans:
            first = int(np.searchsorted(closing, start, side="right"))
            last = int(np.searchsorted(opening, end, side="left"))
            spans.append((number[name], at + first, at + last))
        at += len(one.ids)
    starts = np.concatenate([[0], np.cumsum([len(one.ids) for one in encoded])]).astype(np.int64)
    ids = np.fromiter((token for one in encoded for token in one.ids), dtype=np.uint16, count=at)
    table = np.array(spans, dtype=np.int64).reshape(-1, 3)
    corpus = Corpus(ids, starts, np.array([doc.log_prob for doc in drawn]))
    return corpus, TokenSpans(table[:, 0].astype(np.int32), table[:, 1], table[:, 2])


def pack(
    corpus: Corpus, context: int, seed: int
) -> tuple[UInt16[np.ndarray, "row pos"], UInt16[np.ndarray, "row pos"]]:
    """Fill rows with whole documents in random order, each behind a BOS; what is left of a row is padding.

    Args:
        corpus: The documents; longer ones than ``context - 1`` tokens are cut.
        context: Positions per row.
        seed: Of the order of the documents.

    Returns:
        Token ids, and the number of the document within its row, from 1 (0 where there is padding).
    """
    sizes = np.minimum(np.diff(corpus.starts) + 1, context)
    rows: list[list[int]] = []
    open_rows: list[tuple[int, list[int]]] = []
    for index in np.random.default_rng(seed).permutation(len(corpus)).tolist():
        size = int(sizes[index])
        fits = next((place for place, (room, _) in enumerate(open_rows) if room >= size), None)
        if fits is None:
            if len(open_rows) == OPEN_ROWS:
                open_rows.remove(min(open_rows, key=lambda entry: entry[0]))
            held: list[int] = []
            rows.append(held)
            open_rows.append((context, held))
            fits = len(open_rows) - 1
        room, held = open_rows[fits]
        held.append(index)
        open_rows[fits] = (room - size, held)
    ids = np.full((len(rows), context), PAD_ID, dtype=np.uint16)
    numbers = np.zeros((len(rows), context), dtype=np.uint16)
    for row, held in enumerate(rows):
        at = 0
        for inside, index in enumerate(held, 1):
            document = corpus.document(index)[: context - 1]
            end = at + len(document) + 1
            ids[row, at] = BOS_ID
            ids[row, at + 1 : end] = document
            numbers[row, at:end] = inside
            at = end
    return ids, numbers
