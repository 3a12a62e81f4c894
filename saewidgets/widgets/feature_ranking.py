"""The live view of which features are active, attributed and truly matter when ablated."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import traitlets

from saewidgets.errors import SaewidgetsError, TargetError
from saewidgets.results import FeatureId, Ranking
from saewidgets.views import ranking_html, ranking_svg, ranking_text
from saewidgets.views.ranking import COLUMNS
from saewidgets.views.remarks import Remark
from saewidgets.widgets.lab_view import anchor_of, escaped, sae_named
from saewidgets.widgets.labelled import Relabelled, said_of, said_of_features
from saewidgets.widgets.pictures import drawn
from saewidgets.widgets.ranking_wire import labels_on, pack_ranking
from saewidgets.widgets.token_notes import said_of_prompt
from saewidgets.widgets.traits import Feature, Position, Prompt, SAEName, Shown, Target
from saewidgets.widgets.worker import Job, Stopped, worker_of

FORMER = "\nWhat follows is the last ranking that went well."
MOST_ROWS = 1000
PAUSE = 0.1
BYTES_PER_SECOND = 10_000_000
COMPLETIONS = 30
FIELDS = ("target", "baseline")
SETTABLE = (
    *("prompt", "mask_special", "sae", "target", "baseline", "position"),
    *("method", "scope", "order", "k", "feature"),
)


class Run(NamedTuple):
    """What one forward pass serves."""

    prompt: str
    sae: str
    mask_special: bool


class FeatureRanking(Relabelled, stem="feature_ranking"):
    """Three rankings of a prompt's features side by side: by activation, by attribution, by true ablation effect.

    The metric M is the target's logit less the baseline's, read at the last token; without a baseline, less the mean
    logit. Attribution is the effect of a feature being present to first order, ablation M(x) - M(x - f d) is exact and
    arrives live while it is computed. Another target, baseline, position or method reuses the forward pass; ``k``,
    ``order`` and ``feature`` ask nothing of the kernel. A double click on a row, or F2, edits the label of its feature.
    What cannot be computed shows its error in the view, and the view goes on working.

    Args:
        lab: Where the model and the SAEs are.
        prompt: The text.
        target: The token that M is about, as text (``" Paris"``, with its space) or id, or several; None: the model's
            most likely next token.
        baseline: The token that it is compared with; None: the mean of all logits.
        position: The token whose features are ranked, from 0 (BOS counts); None: all of the prompt.
        sae: Name of the SAE; by default that of ``feature``, else the first in the lab.
        method: "attribution" or "integrated_gradients".
        scope: "position": each (position, feature) pair by itself; "all_positions": each feature at all positions at
            once; None: "position" where a position is given.
        k: How many rows each column has.
        order: "absolute" (by magnitude) or "signed" (largest first); ties by row.
        feature: The feature to follow: ``"sae/123"``, 123 or a FeatureId. One that does not fire here is kept.
        mask_special: Whether special tokens (BOS, EOS, pad) are left out.

    Raises:
        UnknownNameError: The lab holds no such SAE.
        FeatureIndexError: The SAE has no such feature.
        TargetError: The target or baseline is neither text nor id. One that the vocabulary lacks is shown in the view.
        TypeError: An argument that does not exist.

    Example:
        >>> import saewidgets as sw
        >>> view = sw.FeatureRanking(sw.demo(), "The capital of France is", " Paris")  # doctest: +SKIP
        >>> view.result.overlap(10)  # doctest: +SKIP
    """

    prompt = Prompt(help="The text that is run.").tag(sync=True)
    target = Target(
        several=True,
        help="The token that the metric is about, as text or id, or several; '' for the most likely next token.",
    ).tag(sync=True)
    baseline = Target(help="The token that the target is compared with, as text or id; '' for the mean logit.").tag(
        sync=True
    )
    position = Position(None, help="Position whose features are ranked, from 0 (BOS counts), or None for all.").tag(
        sync=True
    )
    method = traitlets.Enum(
        ("attribution", "integrated_gradients"), "attribution", help="How attributions are computed."
    ).tag(sync=True)
    scope: Any = traitlets.Enum(
        ("position", "all_positions"),
        None,
        allow_none=True,
        help="'position': (position, feature) pairs, each ablated at its own position. 'all_positions': features, "
        "ablated at all positions at once. None: 'position' where a position is chosen.",
    ).tag(sync=True)
    order: Any = traitlets.Enum(
        ("absolute", "signed"), "absolute", help="'absolute': by magnitude. 'signed': largest first. Ties by row."
    ).tag(sync=True)
    k = traitlets.Int(10, min=1, max=MOST_ROWS, help="How many rows each column shows, and are compared.").tag(
        sync=True
    )
    feature = Feature(
        "",
        help="The feature that is followed, 'sae/123', or ''. 123 and FeatureId are accepted. One that is not among "
        "the rows is kept, and the view says so.",
    ).tag(sync=True)
    sae = SAEName("", help="Name of the SAE in the lab; assigning another one runs the prompt again.").tag(sync=True)
    mask_special = traitlets.Bool(True, help="Whether special tokens are left out of all numbers.").tag(sync=True)
    result: Any = Shown(
        None,
        read_only=True,
        help="The Ranking on the screen, None until one has gone well. Reading waits for the view's work.",
    )
    _data = traitlets.Bytes(b"", help="The result, packed (ranking_wire.py).").tag(sync=True)
    _saes = traitlets.List(help="Names of the lab's SAEs.").tag(sync=True)

    def __init__(
        self,
        lab: Any,
        prompt: str = "",
        target: Any = None,
        baseline: Any = None,
        *,
        position: int | None = None,
        sae: str | None = None,
        method: str = "attribution",
        scope: str | None = None,
        k: int = 10,
        order: str = "absolute",
        feature: FeatureId | str | int | None = None,
        mask_special: bool = True,
        **unknown: Any,
    ) -> None:
        self.lab = lab
        self._ready = False
        self._asked: dict[str, str] = {}
        self._typed = ""  # the prompt of what is on the screen
        self._ranker: tuple[Run, object, Any] | None = None  # only the worker touches it
        super().__init__(
            unknown,
            prompt=prompt,
            sae=self._known_sae(sae or sae_named(feature) or next(iter(lab.saes), "")),
            target=target,
            baseline=baseline,
            method=method,
            scope=scope,
            k=k,
            order=order,
            mask_special=mask_special,
        )
        self._saes = list(lab.saes)
        self.position = position
        self.feature = feature
        self._ready = True
        self._run()
        self._wait()

    # ---- running -------------------------------------------------------------------------------------------------

    @traitlets.observe("prompt", "sae", "mask_special", "target", "baseline", "position", "method", "scope")
    def _input_changed(self, _: Any) -> None:
        self._run()

    def _run(self, afresh: bool = False) -> None:
        """Post the ranking to the model's worker; ``afresh`` runs the model even where it has run."""
        if not self._ready:
            return
        run = Run(self.prompt, str(self.sae), self.mask_special)
        question = {name: getattr(self, name) for name in ("position", "method", "scope")}
        target, baseline = self.target, self.baseline

        def work(job: Job) -> None:
            if afresh:
                self._ranker = None
            self._rank(job, run, target, baseline, question)

        self._post_about(run.sae, "rank", work)

    def _rank(self, job: Job, run: Run, target: Any, baseline: Any, question: dict[str, Any]) -> None:
        """Rank, showing what is there so far; runs on the worker."""
        ranker = self._ranker_of(run)
        job.check()
        if self._drop_position(question["position"], ranker):
            raise Stopped  # without the position a newer job has run
        former, show = (self._data, self._packed_labels, self._pictured), self._live(job, run)
        target, baseline = (None if each == "" else each for each in (target, baseline))
        try:
            result = ranker.rank(target, baseline, on_progress=show, **question)
            self._check_newest(job)
        except Exception:
            if self._newest(job):
                self._put(*former)
            raise
        self._paint(result, run)
        self.set_trait("error", "")
        self.set_trait("result", result)
        if result.stopped:
            job.check()

    def _ranker_of(self, run: Run) -> Any:
        """The prompt run through the model, once for all questions about it."""
        held = self.lab.saes.get(run.sae)
        if self._ranker is None or self._ranker[0] != run or self._ranker[1] is not held:
            self._ranker = None  # its memory first
            ranker = self.lab.ranker(run.prompt, sae=run.sae, mask_special=run.mask_special)
            self._ranker = (run, held, ranker)
        return self._ranker[2]

    def _drop_position(self, position: int | None, ranker: Any) -> bool:
        """Let go of a position that a new prompt does not have; this ranks anew."""
        shown = self._trait_values.get("result")
        if position is None or shown is None or position < len(ranker.tokens) or position != self.position:
            return False
        self.position = None
        return True

    def _live(self, job: Job, run: Run) -> Any:
        """Shows rankings as they grow, about ten a second; fewer where they are large."""
        due = 0.0

        def show(ranking: Ranking) -> bool:
            nonlocal due
            self._complete()
            if job.stopping or not self._newest(job):
                return False
            if time.monotonic() >= due:
                self._paint(ranking, run)
                due = time.monotonic() + max(PAUSE, len(self._data) / BYTES_PER_SECOND)
            return True

        return show

    def _newest(self, job: Job) -> bool:
        return self._jobs.get("rank") is job

    def _check_newest(self, job: Job) -> None:
        """End the job where a newer one has been posted; one that the person stopped keeps what it has."""
        if not self._newest(job):
            raise Stopped

    def _paint(self, result: Ranking, run: Run) -> None:
        """Put a ranking, or what there is of it, on the screen."""
        model = self.lab.model_of(run.sae)
        self._saes = list(self.lab.saes)
        self._hear()
        labels = self._labels_of(result)
        data = pack_ranking(
            result,
            saes=self.lab.saes,
            value_of=lambda token_id, text: _value_of(model, token_id, text),
            text_of=model.token_text,
            labels=labels,
        )
        self._typed = run.prompt
        self._put(data, labels, result)

    # ---- labels --------------------------------------------------------------------------------------------------

    @traitlets.observe("feature")
    def _feature_changed(self, _: Any) -> None:
        self._relabel()

    def _labels_of(self, pictured: Ranking) -> dict[str, str]:
        return labels_on(pictured, self.lab)

    def _chosen(self) -> Iterable[str]:
        return [str(self.feature)] if self.feature else []

    def _notes_on(self, pictured: Ranking) -> list[str]:
        return list(filter(None, [said_of(self.lab, pictured).note_text]))

    def _remarks(self) -> tuple[dict[str, Remark], Remark, dict[int, Remark]]:
        """What people say of the features on the screen, of the ranking, and of the tokens."""
        rows = [row for by in COLUMNS for row in self.result.top(self.k, by, self.order)]
        said = said_of_features(self.lab, (f"{row.sae}/{row.feature}" for row in rows))
        of_tokens = said_of_prompt(self.lab, self.result.prompt_tokens, self.result.model, self._typed)
        return said, said_of(self.lab, self.result), of_tokens

    # ---- what the browser may ask --------------------------------------------------------------------------------

    def _op_set(self, message: dict[str, Any]) -> None:
        """Assign traits; each is checked as if it were assigned in Python."""
        for name in SETTABLE:
            if name in message:
                setattr(self, name, message[name])

    def _op_run(self, _: dict[str, Any]) -> None:
        self._run(afresh=True)

    def _op_complete(self, message: dict[str, Any]) -> None:
        """Ask for the tokens that begin with a text; the answer is a message of its own."""
        field, text = message.get("field"), message.get("text")
        if field not in FIELDS or not isinstance(text, str):
            raise TargetError("This cannot be completed.", got=repr((field, text))[:80])
        self._asked[field] = text
        worker_of(anchor_of(self.lab, self.sae)).post(Job(self, "complete", lambda _: self._complete()))

    def _complete(self) -> None:
        """Answer what has been asked; on the worker, between ablations too."""
        while self._asked:
            field, text = self._asked.popitem()
            model = self.lab.model_of(self.sae)
            items = [[i, token, _value_of(model, i, token)] for i, token in model.complete(text, COMPLETIONS)]
            self.send({"op": "completions", "field": field, "text": text, "items": items})

    # ---- without a kernel ----------------------------------------------------------------------------------------

    def static_html(self) -> str:
        """The prompt, the three columns as a table with the overlaps, and what people say of the features."""
        if self.result is None:
            return f"<p>{escaped(self.error or 'Nothing has been run yet.')}</p>"
        problem = f"<p>{escaped(f'{self.error}{FORMER}')}</p>" if self.error else ""
        return problem + ranking_html(self.result, self.k, self.order, *self._remarks())

    def static_text(self) -> str:
        """The same as plain text."""
        if self.result is None:
            return self.error or "Nothing has been run yet."
        problem = f"{self.error}{FORMER}\n" if self.error else ""
        return problem + ranking_text(self.result, self.k, self.order, *self._remarks())

    def static_svg(self) -> str:
        """The three columns with their bars and lines, as an SVG drawing."""
        return ranking_svg(drawn(self.result, self.error), self.k, self.order)


def _value_of(model: Any, token_id: int, text: str) -> int | str:
    """What to assign for a token: its text, or its id where the text does not lead back to it."""
    try:
        return text if model.token_id(text) == token_id else token_id
    except SaewidgetsError:
        return token_id
