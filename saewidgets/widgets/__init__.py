"""Live views of a lab."""

from saewidgets.widgets.token_activations import TokenActivations

__all__ = ["TokenActivations"]
