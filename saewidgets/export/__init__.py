"""Notebooks and views as one HTML file that works from disk, with no kernel and no network."""

from saewidgets.export.notebook import export_notebook

__all__ = ["export_notebook"]
