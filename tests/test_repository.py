"""The house rules that a script can see: import arrows, a light import, declared dependencies, forbidden code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "saewidgets"

FLOORS = {
    "errors": 0,
    "results": 0,
    "models": 1,
    "saes": 1,
    "views": 1,
    "analysis": 2,
    "steering": 2,
    "index": 2,
    "annotations": 2,
    "export": 2,  # pages are made of states and scripts, not of views: the lab and the views both call it
    "lab": 3,
    "widgets": 4,
    "demo": 5,
    "cli": 5,
}
SIDEWAYS = {("results", "errors")}
VIEWS_MAY_IMPORT = {"errors", "results", "views"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, functions and TYPE_CHECKING blocks included."""
    package = ("saewidgets", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            if module == "saewidgets":
                yield from (f"saewidgets.{alias.name}" for alias in node.names)
            else:
                yield module


def test_every_room_has_a_floor() -> None:
    rooms = {room(path) for path in modules()} - {"__init__"}
    assert rooms <= FLOORS.keys()


def wrong_arrows(own: str, imported: set[str]) -> set[str]:
    """Those of the imported rooms that do not lie below ``own``."""
    below = {other for other in imported if FLOORS.get(other, 9) < FLOORS[own] or (own, other) in SIDEWAYS}
    allowed = below & VIEWS_MAY_IMPORT if own == "views" else below
    return imported - allowed - {own}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_floors_below(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    inside = {name.split(".")[1] for name in imported_modules(path) if name.startswith("saewidgets.")}
    assert wrong_arrows(own, inside) == set()


def test_the_arrow_check_sees_an_arrow_that_points_up_or_sideways() -> None:
    assert wrong_arrows("analysis", {"lab", "models", "steering"}) == {"lab", "steering"}
    assert wrong_arrows("views", {"results", "models"}) == {"models"}


def test_import_takes_half_a_cpu_second_at_most() -> None:
    program = "import time; start = time.process_time(); import saewidgets; print(time.process_time() - start)"
    command = [sys.executable, "-c", program]
    runs = [float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(3)]
    print(f"import saewidgets: {min(runs):.2f} CPU s")
    assert min(runs) < 0.5


# What stands for a distribution that another declared one brings and pins.
BROUGHT_BY = {
    "transformers": "transformer-lens",
    "tokenizers": "transformer-lens",
    "IPython": "ipywidgets",
    "bleach": "nbconvert",
    "jupyter_client": "nbconvert",
    "jupyter_core": "nbconvert",
    "nbclient": "nbconvert",
    "nbformat": "nbconvert",
    "pygments": "nbconvert",
    "tinycss2": "nbconvert",
}


def names_of(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name.group()).lower() for name in names if name}


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared, extras = names_of(project["dependencies"]), project["optional-dependencies"]
    optional = names_of([name for extra in ("saelens", "ray", "export", "figures") for name in extras[extra]])
    tops = {name.split(".")[0] for path in modules() for name in imported_modules(path)}
    third_party = tops - sys.stdlib_module_names - {"saewidgets"}
    known = {**packages_distributions(), "sae_lens": ["sae-lens"], "ray": ["ray"]}
    used = names_of([BROUGHT_BY.get(top) or known[top][0] for top in third_party])
    assert used - optional == declared


def sources() -> list[Path]:
    """What ships: Python, scripts and styles, sources and built."""
    folders = (PACKAGE, ROOT / "js" / "src")
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in {".py", ".js", ".css"}]


FORBIDDEN = {
    "text that becomes HTML": r"\b(inner|outer)HTML\b|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write",
    "code from text": r"(?<![.\w])eval\(|new Function\(",
    "a file that can run code": r"\ballow_pickle\b|\bpickle\.loads?\(|\bjoblib\.load\(",
    "a script from the network": r"(unpkg\.com|jsdelivr\.net|cdnjs|esm\.sh|skypack|googleapis\.com|jspm\.dev)",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_shipped_code_has_no(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [str(path.relative_to(ROOT)) for path in sources() if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []


def unsafe_loads(source: str) -> list[int]:
    """Lines that call torch.load without weights_only=True."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    safe = ("weights_only", True)
    return [
        call.lineno
        for call in loads
        if safe not in [(word.arg, getattr(word.value, "value", None)) for word in call.keywords]
    ]


def test_torch_load_never_unpickles() -> None:
    assert unsafe_loads("torch.load(a, weights_only=True)\ntorch.load(b)\ntorch.load(c, weights_only=False)") == [2, 3]
    assert [str(path) for path in modules() if unsafe_loads(path.read_text(encoding="utf-8"))] == []


def test_no_path_of_a_developers_machine() -> None:
    skipped = {"node_modules", "__pycache__", "assets", "screenshots"}
    suffixes = {".py", ".js", ".mjs", ".css", ".json", ".md", ".toml", ".ipynb", ".txt", ".html"}
    folders = [ROOT / name for name in ("saewidgets", "tests", "js", "notebooks", "docs", ".ci")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in suffixes]
    home = re.compile(r"(?<![\w.])/(root|home|Users|work|tmp)/\w")
    mine = [path for path in files if not skipped & set(path.parts) and path != Path(__file__)]
    found = [str(path.relative_to(ROOT)) for path in mine if home.search(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_one_stem_names_all_files_of_a_widget() -> None:
    stems = {
        path.stem for path in (PACKAGE / "static").glob("*.css")
    }  # page.js, which hosts a saved view, has no style
    assert stems, "no built style: run make js"
    for stem in stems:
        five = [
            PACKAGE / "widgets" / f"{stem}.py",
            ROOT / "js" / "src" / f"{stem}.js",
            ROOT / "js" / "src" / f"{stem}.css",
            ROOT / "js" / "test" / f"{stem}.test.js",
            ROOT / "tests" / "widgets" / f"test_{stem}.py",
        ]
        assert [str(path.relative_to(ROOT)) for path in five if not path.exists()] == []
