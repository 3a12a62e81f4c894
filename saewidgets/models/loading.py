"""A model from what the user has: an object, a local folder, or a hub name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saewidgets.errors import LoadError
from saewidgets.models.language_model import LanguageModel

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin")


def load_model(source: Any, name: str | None = None) -> LanguageModel:
    """A language model.

    Args:
        source: A TransformerBridge, a HookedTransformer, a local Hugging Face folder, or a hub name, which is the
            only thing here that may use the network.
        name: What to call it; by default its own name.

    Raises:
        LoadError: There is no model there, or it cannot be read.

    Example:
        >>> load_model("my_models/gpt2-finetuned")  # doctest: +SKIP
    """
    if isinstance(source, LanguageModel):
        return source
    if isinstance(source, str | os.PathLike):
        folder = Path(source).expanduser()
        if folder.is_dir():
            return _from_folder(folder, name)
        if isinstance(source, os.PathLike) or _looks_like_path(source):
            raise LoadError("There is no such folder.", got=str(source), expected="a folder with config.json")
        return LanguageModel(_boot(source, _HUB_HELP), name)
    return LanguageModel(source, name)


_HUB_HELP = (
    "check the name and the network, or give the path of a local folder; "
    "a model that was downloaded before also works offline"
)


def _from_folder(folder: Path, name: str | None) -> LanguageModel:
    if not (folder / "config.json").is_file():
        raise LoadError("This folder holds no model.", got=str(folder), expected="a file config.json in it")
    if not any(path.is_file() for pattern in _WEIGHTS for path in folder.glob(pattern)):
        raise LoadError(
            "This folder holds no weights.",
            got=f"{folder} with {', '.join(sorted(p.name for p in folder.iterdir())[:8])}",
            expected="model.safetensors, or its parts with an index",
            do="save the model there again with model.save_pretrained(folder)",
        )
    with _without_progress_bar():
        model = _boot(str(folder), "check that transformers can read the folder")
    return LanguageModel(model, name or folder.resolve().name)


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Nothing is downloaded from a folder, so that there is no progress to show."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()


def _boot(source: str, help_text: str) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    try:
        return TransformerBridge.boot_transformers(source, device="cpu")
    except Exception as error:  # many libraries, many types: all mean that nothing was loaded
        first_line = next(iter(str(error).strip().splitlines()), "")
        raise LoadError(
            f"The model '{source}' cannot be loaded.", got=f"{type(error).__name__}: {first_line[:300]}", do=help_text
        ) from error


def _looks_like_path(source: str) -> bool:
    return source.startswith((".", "~", os.sep)) or source.count("/") > 1 or "\\" in source
