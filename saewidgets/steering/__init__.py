"""Steering: edits of activations, each named after its formula, and what a model says under them.

With x the activation, d the feature's direction, f its activation, m its reference maximum and u a unit vector:

====================  =======================
``add``               x + alpha m d
``set``               x + (v m - f) d
``scale``             x + (gamma - 1) f d
``ablate``            x - f d
``set_if_active``     as ``set`` where f > 0
``project_out``       x - (x . u) u
====================  =======================
"""

from saewidgets.steering.edits import Edit, ablate, add, project_out, scale, set, set_if_active  # noqa: A004
from saewidgets.steering.serialize import edits_from_json, edits_to_code, edits_to_json
from saewidgets.steering.where import while_active

__all__ = [
    "Edit",
    "ablate",
    "add",
    "edits_from_json",
    "edits_to_code",
    "edits_to_json",
    "project_out",
    "scale",
    "set",
    "set_if_active",
    "while_active",
]
