"""The lab: models and SAEs, what can be asked of them, steering, and what people say of it all."""

from __future__ import annotations

import saewidgets.views  # noqa: F401 - results show themselves in a notebook
from saewidgets.lab.comparing import Comparing
from saewidgets.lab.questions import Questions
from saewidgets.lab.sharing import Sharing
from saewidgets.lab.specifying import Specifying


class Lab(Questions, Comparing, Specifying, Sharing):
    """Models and SAEs in memory, by name. Nothing of the user's is changed by anything here.

    Args:
        model: A TransformerBridge, a HookedTransformer, a hub name, a local Hugging Face folder, or a function
            without arguments that gives one of these and is called when the model is first needed.
        name: What to call the model; by default its own name.

    Raises:
        LoadError: There is no model there, or it cannot be read.

    Example:
        >>> lab = Lab("gpt2")  # doctest: +SKIP
        >>> lab.add_sae("my_saes/layer_8")  # doctest: +SKIP
        'layer_8'
        >>> lab.activations("The Golden Gate Bridge").top(3)  # doctest: +SKIP
    """
