"""The live view of which features fire on which tokens of a prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import traitlets

from saewidgets.errors import MismatchError
from saewidgets.export.page import SavedView
from saewidgets.results import Activations, FeatureId
from saewidgets.views import first_feature, token_remarks, token_strip_html, token_strip_svg, token_strip_text
from saewidgets.widgets.lab_view import FORMER, escaped, sae_named
from saewidgets.widgets.labelled import Relabelled, label_of, said_of_features, said_of_tokens
from saewidgets.widgets.pictures import drawn
from saewidgets.widgets.traits import Feature, Features, Position, Prompt, SAEName, Shown, one_or_several
from saewidgets.widgets.wire import halved, labels_in, labels_of, pack
from saewidgets.widgets.worker import Job

MOST_FEATURES = 6


class TokenActivations(Relabelled, stem="token_activations"):
    """A prompt box, its tokens coloured by up to six features, and the features that fire, by their labels.

    Editing the prompt runs it again, the last edit wins; choosing features recolours in the browser and asks nothing of
    the kernel. A double click on a feature, or F2, edits its label. A prompt that cannot be run shows its error in the
    view, and the view goes on working.

    Args:
        lab: Where the model and the SAEs are.
        prompt: The text.
        sae: Name of the SAE; by default that of ``feature``, else the first in the lab.
        feature: The feature to colour by: ``"sae/123"``, 123 or a FeatureId. None: the strongest feature that fires on
            at most a third of the tokens. "": none.
        features: Up to six features to show at once.
        token: Position of the token whose features are listed.
        mask_special: Whether special tokens (BOS, EOS, pad) are left out.

    Raises:
        UnknownNameError: The lab holds no such SAE.
        FeatureIndexError: The SAE has no such feature.
        MismatchError: Features of two SAEs, or more than six.
        TypeError: An argument that does not exist.

    Example:
        >>> import saewidgets as sw
        >>> view = sw.TokenActivations(sw.demo(), "The capital of France is Paris.")  # doctest: +SKIP
        >>> view.feature, view.result.top(1)  # doctest: +SKIP
    """

    prompt = Prompt(help="The text that is run.").tag(sync=True)
    sae = SAEName("", help="Name of the SAE in the lab; assigning another one runs the prompt again.").tag(sync=True)
    feature = Feature(
        "",
        help="The feature in focus, 'sae/123', or ''. 123 and FeatureId are accepted. A feature that is not among "
        "`features` takes the place of the one in focus; a feature of another SAE changes `sae`.",
    ).tag(sync=True)
    features = Features(
        (), help="Up to six features shown at once, 'sae/123' each; all of one SAE. A feature given twice counts once."
    ).tag(sync=True)
    token = Position(None, help="Position of the chosen token, from 0 (BOS counts), or None.").tag(sync=True)
    mask_special = traitlets.Bool(True, help="Whether special tokens are left out of all numbers.").tag(sync=True)
    result: Any = Shown(
        None,
        read_only=True,
        help="The Activations on the screen, None until a prompt has run well. Reading waits for the view's work.",
    )
    _data = traitlets.Bytes(b"", help="The result, packed (wire.py).").tag(sync=True)
    _saes = traitlets.List(help="Names of the lab's SAEs.").tag(sync=True)

    def __init__(
        self,
        lab: Any,
        prompt: str = "",
        *,
        sae: str | None = None,
        feature: FeatureId | str | int | None = None,
        features: Any = (),
        token: int | None = None,
        mask_special: bool = True,
        **unknown: Any,
    ) -> None:
        self.lab = lab
        features = one_or_several(features)
        self._choose = feature is None and not features
        self._ready = False
        self._typed = ""  # the prompt of what is on the screen
        named = feature if feature not in (None, "") else next(iter(features), None)
        if sae is not None and sae_named(named) not in {None, sae}:
            raise MismatchError("The feature is of another SAE.", got=f"sae={sae!r}, {named}", expected="one SAE")
        super().__init__(
            unknown,
            prompt=prompt,
            sae=self._known_sae(sae or sae_named(named) or next(iter(lab.saes), "")),
            mask_special=mask_special,
        )
        self._saes = list(lab.saes)
        self.features = features
        if feature is not None:
            self.feature = feature
        self._ready = True
        self._run()
        self._wait()
        if token is not None:
            self.token = token

    # ---- what may be assigned ------------------------------------------------------------------------------------

    def _known_features(self, features: tuple[Any, ...]) -> tuple[str, ...]:
        parsed = dict.fromkeys(self._known_feature(feature) for feature in features)
        if len({feature.sae for feature in parsed}) > 1:
            raise MismatchError(
                "The features are of different SAEs.", got=", ".join(map(str, parsed)), expected="features of one SAE"
            )
        if len(parsed) > MOST_FEATURES:
            raise MismatchError("Too many features at once.", got=len(parsed), expected=f"at most {MOST_FEATURES}")
        return tuple(map(str, parsed))

    # ---- keeping the traits together -----------------------------------------------------------------------------

    @traitlets.observe("feature")
    def _feature_changed(self, change: Any) -> None:
        new, old = change["new"], change["old"]
        if not new:
            self.features = ()
        elif new not in self.features:
            same = sae_named(new) == self.sae and old in self.features
            self.features = tuple(new if one == old else one for one in self.features) if same else (new,)

    @traitlets.observe("features")
    def _features_changed(self, change: Any) -> None:
        features = change["new"]
        if self.feature not in features:
            self.feature = features[0] if features else ""
        if features:
            self.sae = sae_named(features[0])
        self._relabel()

    @traitlets.observe("sae")
    def _sae_changed(self, change: Any) -> None:
        if any(sae_named(feature) != change["new"] for feature in self.features):
            self.features = ()
            self._choose = True
        self._run()

    @traitlets.observe("prompt", "mask_special")
    def _input_changed(self, _: Any) -> None:
        self._run()

    # ---- running -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Post the prompt to the model's worker."""
        if not self._ready:
            return
        prompt, sae, mask_special = self.prompt, str(self.sae), self.mask_special

        def work(job: Job) -> None:
            result = self.lab.activations(prompt, sae=sae, mask_special=mask_special)
            job.check()
            self._show(result, prompt)

        self._post_about(sae, "activations", work)

    def _show(self, result: Activations, prompt: str) -> None:
        """Put a result on the screen; runs on the worker."""
        held, labels = self.lab.saes[result.sae], self._labels_of(result)
        self._saes = list(self.lab.saes)
        self._hear()
        density = getattr(held, "density", None)
        data = pack(result, prompt=prompt, density=density, label=lambda f: labels.get(f"{result.sae}/{f}"))
        self._typed = prompt
        self._put(data, labels, result)
        self.set_trait("result", result)
        if self.token is not None and self.token >= len(result):
            self.token = None
        first = first_feature(result)
        if self._choose and first is not None:
            self._choose = False
            if not self.features and result.sae == self.sae:
                self.feature = f"{result.sae}/{first}"

    # ---- labels --------------------------------------------------------------------------------------------------

    def _labels_of(self, pictured: Activations) -> dict[str, str]:
        sae = pictured.sae
        label = labels_of(labels_in(self.lab, sae))
        return {f"{sae}/{f}": text for f in np.unique(pictured.indices).tolist() if (text := label(f))}

    def _chosen(self) -> Iterable[str]:
        return self.features

    def _notes_on(self, pictured: Activations) -> list[str]:
        return token_remarks(pictured, said_of_tokens(self.lab, pictured, self._typed))

    def _remarks(self) -> dict[str, Any]:
        """What people say of the features and of the tokens on the screen."""
        result, focus = self.result, self._focus()
        shown = ([] if focus is None else [focus]) + [row.feature for row in result.top(10)]
        said = said_of_features(self.lab, (f"{result.sae}/{feature}" for feature in shown))
        named = {FeatureId.parse(name).index: remark for name, remark in said.items()}
        return {"said": named, "of_tokens": said_of_tokens(self.lab, result, self._typed)}

    # ---- what the browser may ask --------------------------------------------------------------------------------

    def _op_set(self, message: dict[str, Any]) -> None:
        """Assign traits; each is checked as if it were assigned in Python."""
        for name in ("prompt", "mask_special", "sae", "features", "feature", "token"):
            if name in message:
                setattr(self, name, message[name])

    def _op_run(self, _: dict[str, Any]) -> None:
        self._run()

    # ---- without a kernel ----------------------------------------------------------------------------------------

    def static_html(self) -> str:
        """The tokens with the feature in focus marked, a table of the strongest features, and what people say."""
        if self.result is None:
            return f"<p>{escaped(self.error or 'Nothing has been run yet.')}</p>"
        problem = f"<p>{escaped(f'{self.error}{FORMER}')}</p>" if self.error else ""
        return problem + token_strip_html(self.result, self._focus(), **self._remarks())

    def static_text(self) -> str:
        """The same as plain text."""
        if self.result is None:
            return self.error or "Nothing has been run yet."
        problem = f"{self.error}{FORMER}\n" if self.error else ""
        return problem + token_strip_text(self.result, self._focus(), **self._remarks())

    def static_svg(self) -> str:
        """The tokens coloured by the feature in focus, as an SVG drawing."""
        return token_strip_svg(drawn(self.result, self.error), self._focus(), label=self._label())

    def _saved(self) -> SavedView:
        saved = super()._saved()
        return replace(saved, state={**saved.state, "_data": halved(self._data)}) if self._data else saved

    def _label(self) -> str:
        focus = self._focus()
        return "" if focus is None else label_of(self.lab, f"{self.result.sae}/{focus}")

    def _focus(self) -> int | None:
        """Index of the feature in focus, if it belongs to the result on the screen."""
        if not self.feature:
            return None
        focus = FeatureId.parse(self.feature)
        return focus.index if focus.sae == self.result.sae else None
