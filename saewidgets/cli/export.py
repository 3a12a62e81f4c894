"""``saewidgets export``: a notebook as one HTML file."""

from __future__ import annotations

from pathlib import Path

from saewidgets.errors import StoreError
from saewidgets.export.notebook import exported, write


def export_file(notebook: str, out: str | None) -> int:
    """Write a notebook as a page, beside it unless told where."""
    source = Path(notebook).expanduser()
    target = Path(out).expanduser() if out else source.with_suffix(".html")
    if target.resolve() == source.resolve():
        raise StoreError("The page would replace the notebook.", got=target, do="name another file with --out")
    made = exported(source)
    write(made, target)
    print(f"{target}: {target.stat().st_size:,} bytes, {made.n_live} live views")
    if made.n_static:
        why = "the notebook does not hold their state, or another version saved it"
        print(
            f"{made.n_static} more are static pictures: {why}. sw.export_notebook, called in the notebook, needs none"
        )
    return 0
