"""``saewidgets doctor``: what is installed, and what works here; nothing is fetched."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import saewidgets

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
    ("sae-lens", "sae_lens", "its objects cannot be handed over; its folders can"),
    ("jupyterlab", "jupyterlab", "another notebook is needed to see live views"),
    ("ipykernel", "ipykernel", "notebooks need a kernel"),
    ("nbconvert", "nbconvert", "notebooks cannot be exported"),
)

# A variable of the environment, and the host that sets it.
HOSTS = (
    ("COLAB_RELEASE_TAG", "Google Colab"),
    ("KAGGLE_KERNEL_RUN_TYPE", "Kaggle"),
    ("VSCODE_PID", "VS Code"),
    ("JUPYTERHUB_USER", "JupyterHub"),
    ("JPY_SESSION_NAME", "Jupyter"),
    ("MARIMO_VERSION", "marimo"),
)


class Finding(NamedTuple):
    """One thing that was looked at; ``state`` is "ok", "missing" (not needed by all) or "FAILS"."""

    state: str
    what: str
    detail: str


def examine(quick: bool = False) -> int:
    """Print what was found; 1 where something fails."""
    failed = 0
    for finding in findings(quick):
        print(f"{finding.state:<8} {finding.what:<17} {finding.detail}", flush=True)
        failed += finding.state == "FAILS"
    print(f"{failed} of these must be mended" if failed else "everything that is needed works")
    return 1 if failed else 0


def findings(quick: bool = False) -> Iterator[Finding]:
    """What is here, one thing after another."""
    yield Finding("ok", "saewidgets", f"{saewidgets.__version__}, {PACKAGE}")
    enough = sys.version_info >= PYTHON
    needed = "" if enough else f"; {'.'.join(map(str, PYTHON))} or newer is needed"
    yield Finding("ok" if enough else "FAILS", "python", f"{platform.python_version()}, {platform.platform()}{needed}")
    yield Finding("ok", "host", host())
    for distribution, module, without in PACKAGES:
        yield _package(distribution, module, without)
    yield _scripts()
    yield _annotations_folder()
    yield _assets()
    if not quick:
        yield _bundled_model()


def host() -> str:
    """The notebook that this runs in, as far as the environment tells."""
    found = [name for variable, name in HOSTS if variable in os.environ]
    if os.environ.get("TERM_PROGRAM") == "vscode" and "VS Code" not in found:
        found.append("VS Code")
    return ", ".join(found) or "a terminal"


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
    own = _numbers(version)
    for part in filter(None, wanted.split(",")):
        sign, bound = re.fullmatch(r"\s*([<>=!~]+)\s*(\S+)\s*", part.strip("() ")).groups()  # type: ignore[union-attr]
        if (sign == ">=" and own < _numbers(bound)) or (sign == "<" and own >= _numbers(bound)):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = [int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3]]
    return (*found, *(0,) * (3 - len(found)))


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
