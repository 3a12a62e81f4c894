"""``saewidgets doctor``: what is installed, and what works here; nothing is fetched."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import saewidgets
from saewidgets.cli.doctor_hosts import host_findings, numbers
from saewidgets.cli.finding import Finding, say
from saewidgets.errors import LoadError

PACKAGE = Path(saewidgets.__file__).parent
PYTHON = (3, 11)

# Distribution, module, and what goes without it where it is not needed by all.
PACKAGES = (
    ("torch", "torch", ""),
    ("transformer-lens", "transformer_lens", ""),
    ("anywidget", "anywidget", ""),
    ("ipywidgets", "ipywidgets", ""),
    ("numpy", "numpy", ""),
    ("pandas", "pandas", ""),
    ("safetensors", "safetensors", ""),
    ("altair", "altair", ""),
    ("pyarrow", "pyarrow", ""),
    ("sae-lens", "sae_lens", "its objects cannot be handed over; its folders can"),
    ("jupyterlab", "jupyterlab", "another notebook is needed to see live views"),
    ("ipykernel", "ipykernel", "notebooks need a kernel"),
    ("nbconvert", "nbconvert", "notebooks cannot be exported"),
    ("vl-convert-python", "vl_convert", "pictures are SVG, not PNG"),
)


def examine(
    notebooks: Sequence[str] = (), sae: str | None = None, model: str | None = None, hook: str | None = None,
    quick: bool = False, as_json: bool = False,
) -> int:  # fmt: skip
    """Print what was found; 1 where something fails.

    Args:
        notebooks: Only these are looked at, where there are any.
        sae: Folder of an SAE; then only it and the model are looked at.
        model: Folder of a model.
        hook: Hook point that the SAE reads, where not the one that it says itself.
        quick: Whether the bundled model is left out.
        as_json: Whether to print one JSON object.
    """
    if hook is not None and sae is None:
        raise LoadError("A hook point is that of an SAE.", got=f"--hook {hook}", do="name the SAE with --sae")
    return say(_asked(notebooks, sae, model, hook, quick), as_json)


def _asked(
    notebooks: Sequence[str], sae: str | None, model: str | None, hook: str | None, quick: bool
) -> Iterator[Finding]:
    if not notebooks and sae is None and model is None:
        yield from findings(quick)
        return
    if notebooks:
        from saewidgets.cli.doctor_notebook import notebook_findings

        yield from notebook_findings(notebooks)
    if sae is not None or model is not None:
        from saewidgets.cli.doctor_sae import sae_findings

        yield from sae_findings(sae, model, hook)


def findings(quick: bool = False) -> Iterator[Finding]:
    """What is here, one thing after another."""
    yield Finding("ok", "saewidgets", f"{saewidgets.__version__}, {PACKAGE}")
    enough = sys.version_info >= PYTHON
    needed = "" if enough else f"; {'.'.join(map(str, PYTHON))} or newer is needed"
    yield Finding("ok" if enough else "FAILS", "python", f"{platform.python_version()}, {platform.platform()}{needed}")
    for distribution, module, without in PACKAGES:
        yield _package(distribution, module, without)
    yield from host_findings()
    yield _scripts()
    yield _annotations_folder()
    yield _assets()
    if not quick:
        yield _bundled_model()


def _package(distribution: str, module: str, without: str) -> Finding:
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        version = None
    if version is None or find_spec(module) is None:
        detail = "not installed" + (f": {without}" if without else "")
        return Finding("missing" if without else "FAILS", distribution, detail)
    wanted = _range_of(distribution)
    if wanted and not _within(version, wanted):
        return Finding("missing" if without else "FAILS", distribution, f"{version}, {wanted} is needed")
    return Finding("ok", distribution, version)


def _range_of(distribution: str) -> str:
    """The versions that the package asks for, such as ">=3.9,<5"; "" where it asks for none or is not installed."""
    try:
        wanted = metadata.requires("saewidgets") or []
    except metadata.PackageNotFoundError:
        return ""
    for line in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if name and re.sub(r"[-_.]+", "-", name.group()).lower() == distribution:
            return line[name.end() :].partition(";")[0].strip()
    return ""


def _within(version: str, wanted: str) -> bool:
    """Whether a version is in a range of ``>=`` and ``<``, by its first three numbers."""
    own = numbers(version)
    for part in filter(None, wanted.split(",")):
        sign, bound = re.fullmatch(r"\s*([<>=!~]+)\s*(\S+)\s*", part.strip("() ")).groups()  # type: ignore[union-attr]
        if (sign == ">=" and own < numbers(bound)) or (sign == "<" and own >= numbers(bound)):
            return False
    return True


def _scripts() -> Finding:
    """Every live view has its script and its style."""
    static = PACKAGE / "static"
    try:
        from saewidgets import widgets
    except FileNotFoundError as error:
        return Finding("FAILS", "scripts", f"not whole in {static}: no {Path(str(error.filename)).name}")
    views = [view for view in vars(widgets).values() if isinstance(view, type) and hasattr(view, "_esm")]
    empty = [path.name for path in static.glob("*") if not path.stat().st_size]
    alone = [path.name for path in static.glob("*.css") if not path.with_suffix(".js").is_file()]
    if not views or empty or alone or not list(static.glob("*.css")):
        return Finding("FAILS", "scripts", f"not whole in {static}: {', '.join([*empty, *alone]) or 'no files'}")
    return Finding("ok", "scripts", ", ".join(sorted(view.__name__ for view in views)))


def _annotations_folder() -> Finding:
    try:
        with tempfile.TemporaryFile(dir=Path.cwd()):
            return Finding("ok", "annotations", "can be kept in this folder")
    except OSError as error:
        detail = f"cannot be kept in this folder ({error.strerror}); set lab.annotations"
        return Finding("missing", "annotations", detail)


def _assets() -> Finding:
    assets = PACKAGE / "demo" / "assets"
    saes = sorted(path.parent.name for path in (assets / "saes").glob("*/cfg.json"))
    if not saes or not (assets / "model" / "config.json").is_file():
        return Finding("FAILS", "bundled files", f"no model and SAEs in {assets}: install saewidgets again")
    return Finding("ok", "bundled files", f"a model and {len(saes)} SAEs")


def _bundled_model() -> Finding:
    """The bundled model reads a prompt, through the SAE and back."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        found = saewidgets.demo().activations("The capital of France is Paris.")
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what was asked for
        return Finding("FAILS", "bundled model", f"{type(error).__name__}: {error}".split("\n")[0][:300])
    return Finding("ok", "bundled model", f"{len(found)} tokens, {len(set(found.indices.tolist()))} features fire")
