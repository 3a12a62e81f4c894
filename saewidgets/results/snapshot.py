"""How a result shows itself at the end of a notebook cell.

Pictures are drawn by ``saewidgets.views``, which knows results; results do not know views. A view registers its picture
here, and without one a result shows its ``repr``.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any


@singledispatch
def picture(result: object) -> str | None:
    """The result as HTML that survives sanitisers, or None where no view has registered one."""
    del result
    return None


@singledispatch
def chart_of(result: object, *how: object) -> Any:
    """The chart of a result, registered as its picture is; ``how`` is what its view takes besides.

    Raises:
        TypeError: No view has registered one.
    """
    del how
    raise TypeError(f"{type(result).__name__} has no chart; import saewidgets.views, which draws those that have one")


class Snapshot:
    """A result that shows itself as a static picture in a notebook."""

    def _repr_html_(self) -> str | None:
        return picture(self)
