"""The bundled tokenizer: byte-level BPE in which every name of the world is one token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from saewidgets.demo import world
from saewidgets.demo.build.corpus import documents
from saewidgets.demo.build.settings import BOS, BOS_ID, PAD, PAD_ID, Settings

# A word is repeated until its merges come before those of any longer text.
REPEATS = 200


def _texts(settings: Settings) -> Iterator[str]:
    for document in documents(settings, "tokenizer", settings.tokenizer_documents):
        yield document.text
    for word in sorted(world.single_token_words()):
        yield word * REPEATS


def train_tokenizer(settings: Settings) -> Tokenizer:
    """Train the tokenizer on documents of the world.

    Numbers are left to BPE, so that small ones and years are one token each.

    Args:
        settings: Size of the vocabulary and of the sample.

    Returns:
        A tokenizer of ``settings.vocab_size`` tokens, ``<|bos|>`` (0) and ``<|pad|>`` (1) among them.

    Raises:
        ValueError: When a word of ``world.single_token_words()`` is more than one token behind a space.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=[BOS, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(settings), trainer)
    split = [word for word in world.single_token_words() if len(tokenizer.encode(word).ids) != 1]
    if split:
        raise ValueError(f"these words are not one token: {split[:10]} ({len(split)} in all); raise vocab_size")
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": BOS,
        "pad_token": PAD,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json`` and check its special tokens."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if (tokenizer.token_to_id(BOS), tokenizer.token_to_id(PAD)) != (BOS_ID, PAD_ID):
        raise ValueError(f"the special tokens of {folder / 'tokenizer.json'} have other ids than {BOS_ID} and {PAD_ID}")
    return tokenizer
