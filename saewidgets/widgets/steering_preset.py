"""What a steering panel is set to, as JSON that can be kept and shared, and as code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saewidgets.errors import EditError, SaewidgetsError
from saewidgets.results import SteeringVector
from saewidgets.steering import Edit, edits_from_json, edits_to_code, edits_to_json

MOST_BYTES = 10_000_000
SAMPLING = ("max_new_tokens", "temperature", "top_p", "seed", "samples")


def preset_text(edits: Sequence[Edit], prompt: str, sampling: Mapping[str, Any]) -> str:
    """Edits, prompt and sampling as JSON.

    Example:
        >>> read_preset(preset_text([], "Hi", {"seed": 3}))
        ([], {'prompt': 'Hi', 'seed': 3})
    """
    data = json.loads(edits_to_json(edits))
    return json.dumps({**data, "prompt": prompt, "sampling": dict(sampling)}, indent=1)


def read_preset(text: object) -> tuple[list[Edit], dict[str, Any]]:
    """Edits and settings from JSON; it is data, nothing in it is run. A list of edits alone is a preset too.

    Returns:
        The edits, and by the name of their trait the prompt and what else it says.

    Raises:
        EditError: Not a preset, or one of more than 10 MB.
    """
    if not isinstance(text, str):
        raise EditError("This is no preset.", got=type(text).__name__, expected="JSON text")
    check_size(len(text.encode("utf-8", "replace")))
    try:
        data = json.loads(text)
        edits = edits_from_json(json.dumps({"version": data["version"], "edits": data["edits"]}))
        sampling = dict(data.get("sampling", {}))
        settings = {name: sampling[name] for name in SAMPLING if name in sampling}
        if "prompt" in data:
            settings = {"prompt": data["prompt"]} | settings
    except SaewidgetsError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise EditError(
            "This is no preset.", got=f"{type(error).__name__}: {error}"[:200], expected="what panel.save(path) writes"
        ) from error
    return edits, settings


def read_file(path: str | Path) -> str:
    """The text of a preset's file.

    Raises:
        EditError: Larger than 10 MB, or not text.
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    check_size(len(data))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditError("This is no preset.", got=str(error), expected="UTF-8 text") from error


def check_size(size: int) -> None:
    """Raise EditError for more than 10 MB."""
    if size > MOST_BYTES:
        raise EditError("This is too large for a preset.", got=f"more than {MOST_BYTES:,} bytes", expected="10 MB")


def code_of(
    edits: Sequence[Edit],
    prompt: str,
    sampling: Mapping[str, Any],
    k: int,
    name_of: Callable[[SteeringVector], str],
) -> str:
    """Python that makes the same edits and compares, on a lab named ``lab``.

    A vector is taken out of a dict ``vectors``, such as the one that was given to the panel.

    Args:
        edits: The edits.
        prompt: The prompt.
        sampling: Number of tokens, temperature and so on.
        k: How many next tokens.
        name_of: Gives the name of a vector.
    """
    targets = [edit.target for edit in edits if isinstance(edit.target, SteeringVector)]
    vectors = [f"vector_{n} = vectors[{name_of(vector)!r}]" for n, vector in enumerate(targets, 1)]
    note = ["# vectors: a dict of your steering vectors by name, as the panel's own: panel.vectors"] if vectors else []
    options = ", ".join(f"{name}={value!r}" for name, value in sampling.items())
    call = f"lab.compare_steering({prompt!r}, edits, {options}, k={k})"
    return "\n".join(["import saewidgets as sw", "", *note, *vectors, edits_to_code(edits), call, ""])
