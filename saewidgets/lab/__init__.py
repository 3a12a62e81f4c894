"""The small API: a lab holds models and SAEs, answers questions about prompts, and steers."""

from saewidgets.lab.lab import Lab

__all__ = ["Lab"]
