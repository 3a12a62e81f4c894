"""``saewidgets doctor``: in which hosts live views will show, and what the versions here are known for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from saewidgets.cli.finding import Finding

# A variable of the environment, and the host that sets it.
HOSTS = (
    ("COLAB_RELEASE_TAG", "Google Colab"),
    ("KAGGLE_KERNEL_RUN_TYPE", "Kaggle"),
    ("VSCODE_PID", "VS Code"),
    ("JUPYTERHUB_USER", "JupyterHub"),
    ("JPY_SESSION_NAME", "Jupyter"),
    ("MARIMO_VERSION", "marimo"),
)

# What no check here can try. State, host, words.
_ELSEWHERE = (
    ("VS Code", "not tried: with a local kernel live views should show; it keeps no widget state, the twins stay"),
    ("Google Colab", "not tried: live views should show; anywidget's own script comes from a CDN there"),
)

MANAGER, MANAGER_MAJOR = "@jupyter-widgets/jupyterlab-manager", 5  # the manager of ipywidgets 8
_SETTING = re.compile(r'^\s*"commsOverSubshells"\s*:\s*"(\w+)"', re.MULTILINE)


def host() -> str:
    """The notebook that this runs in, as far as the environment tells."""
    found = [name for variable, name in HOSTS if variable in os.environ]
    if os.environ.get("TERM_PROGRAM") == "vscode" and "VS Code" not in found:
        found.append("VS Code")
    return ", ".join(found) or "a terminal"


def host_findings() -> Iterator[Finding]:
    """The host, the front ends, and how their messages reach Python."""
    yield Finding("ok", "host", host())
    yield from _jupyter()
    yield _subshells()
    for name, words in _ELSEWHERE:
        yield Finding("note", name, words)
    yield from _known()


def version_of(distribution: str) -> str | None:
    """The version that is installed; None where none is."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version."""
    found = [int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3]]
    return (*found, *(0,) * (3 - len(found)))


# ---- JupyterLab and Notebook -----------------------------------------------------------------------------------------


def _jupyter() -> Iterator[Finding]:
    """Whether JupyterLab and Notebook of this environment have what draws live views."""
    lab = version_of("jupyterlab")
    if lab is None:
        detail = "not in this environment; the one that runs it needs ipywidgets and anywidget too"
        yield Finding("missing", "widget manager", detail)
        return
    yield _extension("widget manager", MANAGER, "jupyterlab_widgets")
    yield _extension("lab extension", "anywidget", "anywidget")


def _extension(what: str, name: str, package: str) -> Finding:
    """An extension of JupyterLab: there, not switched off, and of the version that Python expects."""
    found = next((path for path in _paths("labextensions", name, "package.json") if path.is_file()), None)
    if found is None:
        return Finding("FAILS", what, f"JupyterLab has none and shows no live views: pip install {package}")
    version = str(_json(found).get("version", "?"))
    if _switched_off(name):
        return Finding("FAILS", what, f"{name} is switched off: jupyter labextension enable {name}")
    if name == MANAGER and numbers(version)[0] != MANAGER_MAJOR:
        expected = f"{MANAGER_MAJOR}.x for ipywidgets {version_of('ipywidgets')}: pip install -U {package}"
        return Finding("FAILS", what, f"{version} in {found.parent}; {expected}")
    own = version_of("anywidget")
    if name == "anywidget" and own is not None and numbers(version)[:2] != numbers(own)[:2]:
        return Finding("note", what, f"{version} in {found.parent} does not match anywidget {own}: remove the older")
    return Finding("ok", what, f"{name} {version}")


def _switched_off(name: str) -> bool:
    from jupyter_core.paths import jupyter_config_path

    places = [Path(each) / "labconfig" / "page_config.json" for each in jupyter_config_path()]
    switches = [_json(each).get("disabledExtensions") for each in [*places, *_paths("lab/settings/page_config.json")]]
    # A list names what is off; an object says of each name whether it is.
    return any(each.get(name) is True if isinstance(each, dict) else name in (each or ()) for each in switches)


def _paths(*parts: str) -> list[Path]:
    from jupyter_core.paths import jupyter_path

    return [Path(each) for each in jupyter_path(*parts)]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# ---- how messages reach Python ---------------------------------------------------------------------------------------


def _subshells() -> Finding:
    """Whether what a live view asks is answered while a cell runs."""
    kernel = version_of("ipykernel")
    waits = "what a live view asks while a cell runs waits for its end"
    if kernel is None:
        return Finding("missing", "subshells", "no ipykernel")
    if numbers(kernel) < (7, 0, 0):
        return Finding("note", "subshells", f"ipykernel {kernel} has none (7 has): {waits}")
    setting = _comms_over_subshells()
    if setting is None:
        return Finding("note", "subshells", f"ipykernel {kernel} has them, no JupyterLab here uses them: else {waits}")
    if setting == "disabled":
        return Finding("note", "subshells", f"off in JupyterLab's settings (commsOverSubshells): {waits}")
    return Finding("ok", "subshells", f"on ({setting}): live views are answered while a cell runs")


def _comms_over_subshells() -> str | None:
    """What JupyterLab's setting is, by the user or by default; None where there is no such setting."""
    from jupyter_core.paths import jupyter_config_dir

    file = "@jupyterlab/apputils-extension/kernels-settings"
    own = os.environ.get("JUPYTERLAB_SETTINGS_DIR") or Path(jupyter_config_dir(), "lab", "user-settings")
    try:
        found = _SETTING.search(Path(own, f"{file}.jupyterlab-settings").read_text("utf-8"))  # JSON with comments
    except (OSError, ValueError):
        found = None
    if found:
        return found.group(1)
    for path in _paths("lab", "schemas", f"{file}.json"):
        schema = _json(path).get("properties")
        setting = schema.get("commsOverSubshells") if isinstance(schema, dict) else None
        if isinstance(setting, dict):
            return str(setting.get("default"))
    return None


def _known() -> Iterator[Finding]:
    """What single versions are known for."""
    kernel, lens, sae_lens, notebook = map(version_of, ("ipykernel", "transformer-lens", "sae-lens", "notebook"))
    if kernel is not None and (7, 4, 0) <= numbers(kernel) < (7, 5, 0):
        words = "a view that is used while an async cell runs may no longer follow what Python sets; show it again then"
        yield Finding("note", "known", f"ipykernel {kernel}: {words}")
    if sae_lens is not None and lens is not None and numbers(lens) >= (4, 0, 0):
        words = f"cannot be imported with transformer-lens {lens} (it needs < 4); folders of its SAEs can be read"
        yield Finding("missing", "known", f"sae-lens {sae_lens} {words}")
    if notebook is not None and numbers(notebook) < (7, 0, 0):
        yield Finding("note", "known", f"Notebook {notebook} is not supported: 7.2 or newer, or JupyterLab")
