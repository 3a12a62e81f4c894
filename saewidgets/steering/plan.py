"""Edits made ready for a model: what each adds to the activation at its hook point.

Edits at one hook point act in the order given, each on what the one before it left, in float32 or wider; the sum is
cast to the model's format once. An edit that moves nothing at a token leaves it bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from saewidgets.errors import EditError, MismatchError
from saewidgets.models import LanguageModel
from saewidgets.models.sites import Site
from saewidgets.models.steered import Change, Pass
from saewidgets.results import FeatureId, SteeringVector, Strength
from saewidgets.saes import SAE
from saewidgets.steering.edits import Edit
from saewidgets.steering.where import WhileActive

IN_MAXIMA = ("add", "set", "set_if_active")


@dataclass
class Text:
    """The text that is steered, as far as ``where`` needs it; one for each run of a plan.

    Attributes:
        n_prompt: Tokens of the prompt; None where all of a pass is prompt.
        special_ids: Token ids that are left alone unless their positions are named.
        active: Where features fire that edits depend on, in the pass that is under way [batch, pos].
        steered: Called with the mask [batch, pos] of what was moved in each pass, and its first position.
        reached: Called for each edit with its number, the masks [batch, pos] of what it moved and of where it looked,
            and the first position.
    """

    special_ids: Tensor
    n_prompt: int | None = None
    active: dict[tuple[str, int, float], Tensor] = field(default_factory=dict)
    steered: Callable[[Tensor, int], None] | None = None
    reached: Callable[[int, Tensor, Tensor, int], None] | None = None


@dataclass(frozen=True)
class ReadyEdit:
    """One edit with its tensors.

    Attributes:
        number: Its place in the list.
        edit: What was asked for.
        site: Where.
        sae: SAE of the feature; None for a vector.
        index: The feature.
        direction: Decoder row, or the vector [d].
        maximum: m; for a vector 1 in ``add``, its length otherwise.
        value: alpha, v or gamma, one for all rows of a batch or one for each [1 or batch].
    """

    number: int
    edit: Edit
    site: Site
    sae: SAE | None
    index: int
    direction: Tensor
    maximum: float
    value: Tensor

    def added(self, x: Tensor, where: Tensor) -> Tensor:
        """What the edit adds to activations [batch, pos, d], 0 outside of ``where`` [batch, pos]."""
        d = self.direction.to(device=x.device, dtype=x.dtype)
        if self.edit.operation == "project_out" or self.sae is None:
            delta, moved = self._along(x, d)
        else:
            delta, moved = self._of_feature(x, d)
        where = where & moved
        delta = torch.where(where[..., None], delta, torch.zeros_like(delta))
        if self.edit.keep_norm:
            new = x + delta
            kept = new * (x.norm(dim=-1, keepdim=True) / new.norm(dim=-1, keepdim=True).clamp(min=1e-30)) - x
            delta = torch.where(delta.ne(0).any(-1, keepdim=True), kept, delta)
        return delta

    def _along(self, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """A vector, or a feature's direction taken as one: f is x . u, and m the vector's length."""
        everywhere = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if self.edit.operation == "add":
            return self._values(x) * d.expand_as(x), everywhere
        length = d.norm()
        u = d / length
        f = (x * u).sum(-1)
        moved = f > 0 if self.edit.operation == "set_if_active" else everywhere
        return self._change_of(f, length, x)[..., None] * u, moved

    def _of_feature(self, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        assert self.sae is not None
        acts, scale = self.sae.activation_of(x, self.index)
        f = acts.to(device=x.device, dtype=x.dtype)
        moved = f > 0 if self.edit.operation == "set_if_active" else torch.ones_like(f, dtype=torch.bool)
        if self.edit.operation == "add":
            change = self._values(x)[..., 0] * self.maximum * torch.ones_like(f)
        else:
            change = self._change_of(f, self.maximum, x)
        change = change if scale is None else change * scale.to(x)[..., 0]
        return change[..., None] * d, moved

    def _values(self, x: Tensor) -> Tensor:
        return self.value.to(device=x.device, dtype=x.dtype)[:, None, None]

    def _change_of(self, f: Tensor, maximum: float | Tensor, x: Tensor) -> Tensor:
        """How much of the direction is added where the activation is f [batch, pos]."""
        value = self._values(x)[..., 0]
        match self.edit.operation:
            case "set" | "set_if_active":
                return value * maximum - f
            case "scale":
                return (value - 1) * f
            case _:
                return -f


class Plan:
    """Edits, checked and ready.

    Args:
        model: The model that they are made on.
        saes: SAEs by name.
        edits: The edits.
        default_sae: SAE of a bare feature number.
        maximum_of: Gives the reference maximum of a feature.
        values: One number for each row of a batch, in place of the value of one edit; None: no batch.
        which: Number of that edit.

    Raises:
        EditError: A strength in multiples of a maximum that is not known, or a position that is not there.
        HookPointError: The model has no such hook point.
        MismatchError: A vector or an SAE of another width, or of another model.
    """

    def __init__(
        self, model: LanguageModel, saes: Mapping[str, SAE], edits: Sequence[Edit], default_sae: str | None,
        values: Sequence[float] | None = None, which: int = -1,
    ) -> None:  # fmt: skip
        self.model, self.saes, self.default_sae = model, saes, default_sae
        swept = range(len(edits))[which] if edits else None
        self.ready = [self._ready(n, edit, values if n == swept else None) for n, edit in enumerate(edits)]

    @property
    def formulas(self) -> tuple[str, ...]:
        """Each edit in words."""
        return self.formulas_of(0)

    def formulas_of(self, row: int) -> tuple[str, ...]:
        """Each edit in words, with the value of one row of a batch."""
        rows = [(ready.edit, ready.value[row if len(ready.value) > 1 else 0]) for ready in self.ready]
        return tuple(f"{edit.name}: {replace(edit, value=float(value)).formula}" for edit, value in rows)

    @property
    def strengths(self) -> tuple[Strength, ...]:
        """What the number of each edit stands for, and where its unit comes from."""
        return tuple(self._strength(ready) for ready in self.ready)

    def _strength(self, ready: ReadyEdit) -> Strength:
        value, operation = float(ready.value[0]), ready.edit.operation
        if operation not in IN_MAXIMA:
            return Strength(value, None, None, "")
        if ready.sae is None:
            length = float(ready.direction.norm())
            return Strength(value, length, value * length, "length of the vector")
        if ready.edit.maximum is not None:
            source = "given"
        else:
            sample, n = ready.sae.reference_sample, ready.sae.n_reference_tokens
            tokens = "its reference tokens" if n is None else f"{n:,} tokens"
            source = f"largest activation on {tokens}" + (f" of {sample}" if sample else "")
        return Strength(value, ready.maximum, value * ready.maximum, source)

    def changes(self, text: Text) -> list[tuple[Site, Change]]:
        """What the model's hook points are given, in the order of the edits."""
        sites: dict[tuple[int, int], list[ReadyEdit]] = {}  # one hook point may have several names
        for ready in self.ready:
            sites.setdefault((id(ready.site.read), id(ready.site.edit)), []).append(ready)
        watched = dict.fromkeys(e.edit.where for e in self.ready if isinstance(e.edit.where, WhileActive))
        watch = [self._watch(where, text) for where in watched]
        return watch + [(group[0].site, self._change(group, text)) for group in sites.values()]

    def _watch(self, where: WhileActive, text: Text) -> tuple[Site, Change]:
        feature, sae = self._feature(where.feature)
        key = feature.sae, feature.index, where.threshold

        def look(x: Tensor, now: Pass) -> None:
            del now
            text.active[key] = sae.activation_of(x, feature.index)[0] > where.threshold

        return self.model.site(sae.hook), look

    def _change(self, group: list[ReadyEdit], text: Text) -> Change:
        def change(x: Tensor, now: Pass) -> Tensor:
            added = torch.zeros_like(x)
            for ready in group:
                allowed = self._allowed(ready, text, now)
                delta = ready.added(x + added, (allowed & self._condition(ready, text, now)).to(x.device))
                if text.reached is not None:
                    text.reached(ready.number, delta.ne(0).any(-1), allowed, now.first)
                added = added + delta
            if text.steered is not None:
                text.steered(added.ne(0).any(-1), now.first)
            return added

        return change

    def _allowed(self, ready: ReadyEdit, text: Text, now: Pass) -> Tensor:
        """The positions of a pass at which an edit may be made, a condition on a feature aside [batch, pos]."""
        where, ids = ready.edit.where, now.ids
        position = torch.arange(now.first, now.first + ids.shape[1], device=ids.device)
        if isinstance(where, tuple):
            chosen = [n for n, yes in enumerate(where) if yes] if isinstance(where[0], bool) else where
            return torch.isin(position, torch.tensor(chosen, device=ids.device)).expand(ids.shape)
        plain = ~torch.isin(ids, text.special_ids.to(ids.device))
        if where == "all" or isinstance(where, WhileActive):
            return plain
        if text.n_prompt is None:
            return plain & (where != "generated")
        return plain & ((position < text.n_prompt) == (where == "prompt"))

    def _condition(self, ready: ReadyEdit, text: Text, now: Pass) -> Tensor | bool:
        """The positions of a pass at which the feature fires that an edit depends on [batch, pos]."""
        where = ready.edit.where
        if not isinstance(where, WhileActive):
            return True
        feature, _ = self._feature(where.feature)
        active = text.active.get((feature.sae, feature.index, where.threshold))
        if active is None or active.shape != now.ids.shape:
            raise EditError(
                "An edit depends on a feature that is read after it.", got=str(where.feature),
                expected="a feature at the same hook point or below",
            )  # fmt: skip
        return active.to(now.ids.device)

    def _feature(self, feature: FeatureId | str | int) -> tuple[FeatureId, SAE]:
        found = FeatureId.parse(feature, self.default_sae)
        return found, self.saes[found.sae]

    def _ready(self, number: int, edit: Edit, values: Sequence[float] | None) -> ReadyEdit:
        value = torch.tensor([edit.value] if values is None else list(values), dtype=torch.float64)
        if isinstance(edit.target, SteeringVector):
            direction = torch.from_numpy(edit.target.direction)
            site = self.model.site(edit.target.hook)
            self._check_width(edit, len(direction))
            return ReadyEdit(number, edit, site, None, -1, direction, 1.0, value)
        feature, sae = self._feature(edit.target)
        direction = sae.directions_of(torch.tensor([feature.index], device=sae.device))[0]
        maximum = self._maximum(edit, feature, sae) if edit.operation in IN_MAXIMA else 1.0
        return ReadyEdit(number, edit, self.model.site(sae.hook), sae, feature.index, direction, maximum, value)

    def _maximum(self, edit: Edit, feature: FeatureId, sae: SAE) -> float:
        known = edit.maximum
        if known is None and sae.reference_max is not None:
            known = float(sae.reference_max[feature.index])
        if not known:
            raise EditError(
                "The strength is in multiples of the feature's reference maximum, which is not known.",
                got=str(feature), expected="a maximum above 0",
                do="give it with maximum=..., or measure it with lab.measure_maxima(texts)",
            )  # fmt: skip
        return known

    def _check_width(self, edit: Edit, width: int) -> None:
        assert isinstance(edit.target, SteeringVector)
        shape = self.model.hook_shape(edit.target.hook)
        own = 1
        for size in shape:
            own *= size
        if width != own:
            raise MismatchError(
                f"The vector '{edit.name}' does not fit the hook point '{edit.target.hook}'.",
                got=f"{width} numbers", expected=f"{own}",
            )  # fmt: skip
