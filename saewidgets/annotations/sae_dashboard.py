"""Feature dashboards of SAEDashboard and sae_vis, as JSON: which features they show, and where each fires most.

Neither format holds labels, so that none are made. Of each feature that fires in the file is taken: a tag with the name
of the tool, and the three examples with the largest activations as pinned examples. Left out are logits, histograms,
densities and neighbours, which an index of one's own model has, and sae_vis's pages (HTML).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from saewidgets.annotations.dividing import Operation
from saewidgets.errors import AnnotationError
from saewidgets.results.annotation import Target

PINS = 3
FEATURE_LIMIT = 32 * 2**20
"""Characters of one feature's dashboard."""

EXAMPLE_LIMIT = 20_000
"""Characters of one example."""

BOS = frozenset({"<|endoftext|>", "<bos>", "<s>", "<|begin_of_text|>", "<|bos|>"})
Decode = Callable[[list[int]], str]

# The member that holds the features, how it begins, and the tool.
_FORMATS = {"features": ("[", "SAEDashboard"), "feature_data_dict": ("{", "sae_vis")}
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class Dashboards(NamedTuple):
    """A file of dashboards: the tool that wrote it, and where in the text its features begin."""

    tool: str
    start: int


class _Example(NamedTuple):
    strength: float
    tokens: list[Any]
    peak: int


def find_dashboards(text: str) -> Dashboards | None:
    """What wrote a JSON text, by its first list or object; None where that is neither tool's.

    Example:
        >>> find_dashboards('{"model_id": "gpt2-small", "layer": 6, "features": []}').tool
        'SAEDashboard'
    """
    try:
        at = _skip(text, 0)
        while text[at : at + 1] in {"{", ","}:
            key, at = _decode(text, _skip(text, at + 1))
            at = _after_colon(text, at)
            begins, tool = _FORMATS.get(key, ("", "")) if isinstance(key, str) else ("", "")
            if text[at : at + 1] in {"[", "{"}:
                return Dashboards(tool, at) if text[at] == begins else None
            at = _skip(text, _decode(text, at)[1])
    except (ValueError, RecursionError):
        return None
    return None


def from_dashboards(
    text: str, base: Target, d_sae: int | None = None, decode: Decode | None = None, bos: bool = True
) -> list[Operation]:
    """The operations that take in dashboards, one feature after another, so that little of the file is held at once.

    Args:
        text: SAEDashboard's ``batch-0.json``, or what ``SaeVisData.save_json`` of SAEDashboard or sae_vis wrote.
        base: The SAE that they are about: its model, hook and content hash.
        d_sae: Number of features of the SAE; one beyond it means that the file is about another.
        decode: From token ids to their text; needed for ``save_json``, which holds ids only.
        bos: Whether the model puts BOS in front, which positions count and these files mostly leave out.

    Raises:
        AnnotationError: Not such a file, or one about another SAE; names the feature.

    Example:
        >>> base = Target("feature", "gpt2", "blocks.6.hook_resid_pre", "3f2a", 0)
        >>> one = {"tokens": ["in", " Paris"], "values": [0.0, 2.5]}
        >>> batch = json.dumps({"features": [{"feature_index": 7, "activations": [one]}]})
        >>> from_dashboards(batch, base)[0][1]
        {'add': {'tags': ['SAEDashboard'], 'pins': [{'text': 'in Paris', 'position': 2}]}}
    """
    found = find_dashboards(text)
    if found is None:
        raise AnnotationError("There are no dashboards in it.", expected="a JSON file of SAEDashboard or sae_vis")
    operations: list[Operation] = []
    place = "the file"
    try:
        for n, (key, entry) in enumerate(_entries(text, found.start)):
            place = f"feature entry {n + 1}"
            feature = _feature(entry.get("feature_index") if key is None else key, d_sae)
            examples = _of_sae_dashboard(entry) if key is None else _of_sae_vis(entry)
            pins = _pins(list(examples), decode if key is not None else _joined, bos)
            if pins:
                target = Target("feature", base.model, base.hook, base.sae, feature)
                operations.append((target, {"add": {"tags": [found.tool], "pins": pins}}))
    except (AnnotationError, ValueError, RecursionError) as error:
        raise _located(error, place) from error
    if not operations:
        raise AnnotationError("No feature fires in it.", got=f"dashboards of {found.tool} without examples")
    return operations


def _located(error: Exception, place: str) -> AnnotationError:
    if isinstance(error, AnnotationError):
        return AnnotationError(f"{place}: {error.what}", got=error.got, expected=error.expected, do=error.do)
    got = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
    return AnnotationError(f"After {place}: this is no JSON.", got=got)


def _feature(index: object, d_sae: int | None) -> int:
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 16:
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < 2**53:
        raise AnnotationError("This is no dashboard.", got=f"feature index {index!r}"[:80], expected="a whole number")
    if d_sae is not None and index >= d_sae:
        raise AnnotationError("The file is about another SAE.", got=f"feature {index}", expected=f"< {d_sae}")
    return index


# ---- examples --------------------------------------------------------------------------------------------------------


def _of_sae_dashboard(entry: Mapping[str, Any]) -> Iterator[_Example]:
    for each in _listed(entry.get("activations"), "activations"):
        yield from _example(each, "tokens", "values", str)


def _of_sae_vis(entry: Mapping[str, Any]) -> Iterator[_Example]:
    data = entry.get("sequence_data")
    if data is not None and not isinstance(data, Mapping):
        raise AnnotationError("This is no dashboard.", got=f"sequence_data is {type(data).__name__}")
    for group in _listed((data or {}).get("seq_group_data"), "seq_group_data"):
        if not isinstance(group, Mapping):
            raise AnnotationError("This is no dashboard.", got=f"a group of examples is {type(group).__name__}")
        for each in _listed(group.get("seq_data"), "seq_data"):
            yield from _example(each, "token_ids", "feat_acts", int)


def _listed(value: object, name: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise AnnotationError("This is no dashboard.", got=f"{name} is {type(value).__name__}", expected="a list")
    return value or []


def _example(each: object, tokens_in: str, values_in: str, kind: type) -> Iterator[_Example]:
    """The example, if the feature fires on it and all its activations are numbers."""
    if not isinstance(each, Mapping):
        raise AnnotationError("This is no example.", got=type(each).__name__)
    tokens, values = _listed(each.get(tokens_in), tokens_in), _listed(each.get(values_in), values_in)
    if len(tokens) != len(values):
        raise AnnotationError("This is no example.", got=f"{len(tokens)} tokens, {len(values)} activations")
    if any(not isinstance(token, kind) or isinstance(token, bool) for token in tokens):
        raise AnnotationError("This is no example.", got=f"{tokens_in} that are no {kind.__name__}")
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise AnnotationError("This is no example.", got=f"{values_in} that are no numbers")
    strength = max(values, default=0)
    if strength > 0 and _finite(values):
        yield _Example(float(strength), tokens, values.index(strength))


def _finite(values: list[Any]) -> bool:
    try:
        return all(map(math.isfinite, values))
    except OverflowError:  # a whole number with hundreds of digits
        return False


def _pins(examples: list[_Example], decode: Decode | None, bos: bool) -> list[dict[str, Any]]:
    """The distinct examples with the largest activations; of equal ones the first in the file."""
    if examples and decode is None:
        do = "pass decode=, a function from token ids to text, such as the tokenizer's decode"
        raise AnnotationError("The file holds token ids and no text.", do=do)
    pins: dict[str, int] = {}
    for example in sorted(examples, key=lambda each: -each.strength):
        assert decode is not None
        try:
            begins = decode(example.tokens[:1]) in BOS
            text = decode(example.tokens[begins:])
        except Exception as error:  # a tokenizer's, of any type
            got = f"{type(error).__name__}: {error}"[:200]
            raise AnnotationError("The tokens of an example cannot be decoded.", got=got) from error
        if len(text) > EXAMPLE_LIMIT:
            got = f"{len(text):,} characters"
            raise AnnotationError("An example is too long.", got=got, expected=f"{EXAMPLE_LIMIT:,} at most")
        pins.setdefault(text, example.peak + (bos and not begins))
        if len(pins) == PINS:
            break
    return [{"text": text, "position": position} for text, position in pins.items()]


# ---- tokens as text --------------------------------------------------------------------------------------------------

# GPT-2 writes a byte as a character: what can be printed as itself, the others as characters from 256 on.
_PRINTED = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTE_OF = {chr(byte): byte for byte in _PRINTED}
_BYTE_OF |= {chr(256 + n): byte for n, byte in enumerate(sorted(set(range(256)) - set(_PRINTED)))}
_CHAR_OF = {byte: character for character, byte in _BYTE_OF.items()}


def _class(first: int, last: int) -> str:
    return "[" + re.escape("".join(_CHAR_OF[byte] for byte in range(first, last + 1))) + "]"


_LATER = _class(0x80, 0xBF)
_PIECES = re.compile(
    f"{_class(0xC2, 0xDF)}{_LATER}|{_class(0xE0, 0xEF)}{_LATER}{{2}}|{_class(0xF0, 0xF4)}{_LATER}{{3}}"
)


def _joined(tokens: list[Any]) -> str:
    """SAEDashboard's tokens as text; characters split over several tokens, which it writes byte by byte, are mended.

    Example:
        >>> _joined(["It", "\u00e2\u0122", "\u013b", "s"])
        'It\u2019s'
    """
    return _PIECES.sub(_mended, "".join(tokens))


def _mended(found: re.Match[str]) -> str:
    try:
        return bytes(_BYTE_OF[character] for character in found.group()).decode("utf-8")
    except UnicodeDecodeError:
        return found.group()


# ---- JSON, a part at a time ------------------------------------------------------------------------------------------


def _entries(text: str, at: int) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """The objects of a list, with None, or of an object, with their keys; each is read when it is asked for."""
    named, end = text[at] == "{", "}" if text[at] == "{" else "]"
    at = _skip(text, at + 1)
    while text[at : at + 1] != end:
        key = None
        if named:
            key, at = _decode(text, at)
            at = _after_colon(text, at)
        entry, at = _decode(text, at)
        if not isinstance(entry, Mapping) or (named and not isinstance(key, str)):
            raise AnnotationError("This is no dashboard.", got=type(entry).__name__, expected="an object")
        yield key, entry
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != end:
            raise ValueError(f"expecting ',' or '{end}': character {at}")


def _decode(text: str, at: int) -> tuple[Any, int]:
    """One value and where it ends; what is longer than a feature may be is not read."""
    for size in (2**16, FEATURE_LIMIT):
        try:
            value, end = _DECODER.raw_decode(text[at : at + size])
        except ValueError as error:
            if at + size < len(text):
                continue
            raise ValueError(f"{error}"[:120]) from None
        return value, at + end
    raise AnnotationError(
        "A feature is too large, or this is no JSON.", got=f"at character {at}",
        expected=f"{FEATURE_LIMIT // 2**20} MiB at most",
    )  # fmt: skip


def _after_colon(text: str, at: int) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != ":":
        raise ValueError(f"expecting ':': character {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
