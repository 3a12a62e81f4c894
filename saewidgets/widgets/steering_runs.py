"""What a steering panel asks of a model, and what is kept between two questions; only the worker calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from saewidgets.results import FeatureId, Generation, NextToken, SideEffect
from saewidgets.steering import Edit
from saewidgets.widgets.steering_wire import IN_MAXIMA
from saewidgets.widgets.worker import Worker

SWEPT = (-10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0)


class Sampling(NamedTuple):
    """How texts are written."""

    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    samples: int

    @property
    def rows(self) -> int:
        """How many texts: one where all would be the same."""
        return self.samples if self.temperature > 0 else 1

    @property
    def options(self) -> dict[str, Any]:
        """As arguments of ``lab.writing``."""
        return {name: value for name, value in self._asdict().items() if name != "samples"}


class Question(NamedTuple):
    """What texts depend on."""

    prompt: str
    edits: tuple[Edit, ...]
    sampling: Sampling
    sae: str


Texts = tuple[Generation, ...]
Pair = tuple[Texts, Texts]
Check = Callable[[], object]


class Runs:
    """The prompt's preview, the base text and the neutral texts, as long as nothing that they depend on changes.

    Args:
        lab: The lab.
        neutral_texts: Texts on which side effects are measured; None for the lab's own.
    """

    def __init__(self, lab: Any, neutral_texts: Any = None) -> None:
        self.lab, self.neutral_texts = lab, neutral_texts
        self.forget()

    def forget(self) -> None:
        """Ask the model anew from here on."""
        self._preview: tuple[Any, Any] | None = None
        self._base: tuple[Any, Base] | None = None
        self._neutral: tuple[Any, Any] | None = None

    # ---- questions -----------------------------------------------------------------------------------------------

    def plan(self, question: Question, edits: Sequence[Edit] | None = None) -> Any:
        """The edits made ready; maxima that no index knows are measured first."""
        edits = question.edits if edits is None else edits
        for edit in edits:
            if edit.operation in IN_MAXIMA and isinstance(edit.target, FeatureId) and edit.maximum is None:
                sae = self.lab.saes.get(edit.target.sae)
                if sae is not None and sae.reference_max is None:
                    self.lab.measure_maxima(self._texts(), edit.target.sae)
        return self.lab.plan(edits, self._model(question))

    def next_token(self, question: Question, k: int) -> tuple[NextToken, Any]:
        """The next token and the plan that it was asked with."""
        plan = self.plan(question)
        sae = next((e.target.sae for e in question.edits if isinstance(e.target, FeatureId)), question.sae) or None
        key = question.prompt, sae, plan.model, self.lab.saes.get(sae)
        if self._preview is None or not _same(self._preview[0], key):
            self._preview = None  # its memory first
            self._preview = key, self.lab.preview(question.prompt, sae)
        return self._preview[1].next_token(question.edits, k), plan

    def write(self, question: Question, show: Callable[[Callable[[], Pair]], object], check: Check) -> Pair:
        """Both texts in turns, the base only as far as it is not written yet.

        Args:
            question: The question.
            show: Called after each turn with what gives the texts so far, also once they have ended.
            check: Called before each token; what it raises ends the texts.

        Returns:
            The texts without and with the edits.
        """
        plan, drawn = self.plan(question), question.sampling
        name = plan.model.name
        steered = self.lab.writing(question.prompt, question.edits, drawn.rows, **drawn.options, model=name)
        base = self._base_of(question, plan, steered.tokens)
        turns = [base.step] if not question.edits else [base.step, steered.step]

        def so_far() -> Pair:
            texts = base.so_far()
            return texts, texts if not question.edits else texts_of(steered)

        with _kept(steered):
            while not (base.finished and (steered.finished or not question.edits)):
                for turn in turns:
                    check()
                    turn()
                show(so_far)
            check()
        texts = base.so_far()
        return texts, texts if not question.edits else steered.results()

    def side_effect(self, question: Question, check: Check) -> SideEffect:
        """KL and cross-entropy on the neutral texts."""
        from saewidgets.steering.side_effect import everywhere

        plan = self.plan(question, everywhere(question.edits))
        texts = self._texts()
        key = plan.model, texts
        if self._neutral is None or not _same(self._neutral[0], key):
            self._neutral = key, self.lab.neutral(texts, model=plan.model.name)
        return self._neutral[1].under(plan, check)

    def sweep(self, question: Question, which: int, show: Callable[[Any], object], check: Check) -> Any:
        """One text a strength of one edit, as one batch."""
        plan = self.plan(question)
        options = {**question.sampling.options, "values": SWEPT, "which": which, "model": plan.model.name}
        writing = self.lab.writing(question.prompt, question.edits, **options)
        with _kept(writing):
            while not writing.finished:
                check()
                writing.step()
                show(texts_of(writing))
            check()
        return writing.results()

    # ---- what is kept --------------------------------------------------------------------------------------------

    def _base_of(self, question: Question, plan: Any, tokens: Any) -> Base:
        """The base text, begun at most once for a prompt and a way to sample."""
        drawn = question.sampling._replace(samples=question.sampling.rows)
        key = tuple(tokens.ids.tolist()), drawn, plan.model
        if self._base is None or not _same(self._base[0], key):
            self._base = None
            options = {**drawn.options, "measure": False, "model": plan.model.name}
            self._base = key, Base(self.lab.writing(tokens.ids.tolist(), (), drawn.rows, **options))
        return self._base[1]

    def _texts(self) -> Any:
        return self.lab.neutral_texts if self.neutral_texts is None else self.neutral_texts

    def _model(self, question: Question) -> str | None:
        """The model that is steered; None where features say it, or there is nothing to choose."""
        featured = any(isinstance(edit.target, FeatureId) for edit in question.edits)
        return None if featured or not question.sae else self.lab.model_of(question.sae).name


class Base:
    """A text without edits; it may be left unfinished and written on later."""

    def __init__(self, writing: Any) -> None:
        self._writing: Any = writing
        self._texts: tuple[Generation, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether it is written."""
        return self._writing is None

    def step(self) -> None:
        """One more token."""
        if self._writing is not None and not self._writing.finished:
            self._writing.step()
        if self._writing is not None and self._writing.finished:
            self._texts = self.so_far()
            self._writing = None  # its memory

    def so_far(self) -> tuple[Generation, ...]:
        """The texts as far as they are written; the model agrees with itself, so that nothing need be measured."""
        if self._writing is None:
            return self._texts
        return tuple(replace(one, base_logprobs=one.logprobs, kl=np.zeros(len(one))) for one in texts_of(self._writing))


def texts_of(writing: Any) -> tuple[Generation, ...]:
    """Texts that are being written, without what is measured at their end; those that go on count as cancelled."""
    texts = writing.results(measure=False)
    if writing.finished:
        return texts
    return tuple(one if one.stopped else replace(one, stopped="cancelled") for one in texts)


@contextmanager
def _kept(writing: Any) -> Iterator[None]:
    """A text that is left is cancelled."""
    try:
        yield
    except BaseException:
        writing.cancel()
        raise


def _same(former: Sequence[Any], key: Sequence[Any]) -> bool:
    """Whether two keys hold the same things: values are compared, anything else must be the very same."""
    plain = (str, tuple)
    return len(former) == len(key) and all(
        a is b or (isinstance(a, plain) and type(a) is type(b) and a == b) for a, b in zip(former, key, strict=True)
    )


def let_in(worker: Worker, kind: str) -> None:
    """Run waiting jobs of a short kind, of every view, in the middle of a long job of the same worker."""
    for job in list(worker._mailbox.values()):
        if job.key[1] == kind and job.state == "queued":
            worker.run(job)
