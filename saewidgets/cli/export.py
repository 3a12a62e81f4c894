"""``saewidgets export``: a notebook as one HTML file."""

from __future__ import annotations

from saewidgets.cli.execute import run_and_export
from saewidgets.errors import LoadError, StoreError
from saewidgets.export.notebook import exported, write
from saewidgets.views.files import named


def export_file(notebook: str, out: str | None, *, execute: bool = False) -> int:
    """Write a notebook as a page, beside it unless told where; where asked, run it first."""
    source = named(notebook, LoadError)
    target = named(out) if out else source.with_suffix(".html")
    if target.resolve() == source.resolve():
        raise StoreError("The page would replace the notebook.", got=target, do="name another file with --out")
    if execute:
        if not target.parent.is_dir():  # said before a long run
            raise StoreError("The page cannot be written.", got=f"no folder {target.parent}")
        made = run_and_export(source)
    else:
        made = exported(source)
    write(made, target)
    print(f"{target}: {target.stat().st_size:,} bytes, {made.n_live} live views")
    if made.n_static and execute:
        print(f"{made.n_static} more are static pictures: they were closed when the notebook ended")
    elif made.n_static:
        why = "the notebook does not hold their state, or another version saved it"
        print(f"{made.n_static} more are static pictures: {why}. --execute, which runs the notebook, needs none")
    return 0
