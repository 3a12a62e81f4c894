"""How a result shows itself at the end of a notebook cell.

Pictures are drawn by ``saewidgets.views``, which knows results; results do not know views. A view registers its picture
here, and without one a result shows its ``repr``.
"""

from __future__ import annotations

from functools import singledispatch


@singledispatch
def picture(result: object) -> str | None:
    """The result as HTML that survives sanitisers, or None where no view has registered one."""
    del result
    return None


class Snapshot:
    """A result that shows itself as a static picture in a notebook."""

    def _repr_html_(self) -> str | None:
        return picture(self)
