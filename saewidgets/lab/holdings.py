"""The models and SAEs that a lab holds, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor

from saewidgets.errors import FeatureIndexError, LoadError, MismatchError, UnknownNameError
from saewidgets.models import LanguageModel, Models, ModelSlot, is_loader, load_model
from saewidgets.results import FeatureId, Memory, MemoryItem
from saewidgets.saes import SAE, load_sae


class Holdings:
    """Models and SAEs in memory, by name; the part of a :class:`saewidgets.Lab` that asks nothing of them."""

    def __init__(self, model: Any, name: str | None = None) -> None:
        self._slots: dict[str, ModelSlot] = {}
        self._saes: dict[str, SAE] = {}
        self._reads: dict[str, str] = {}
        self._checked: set[str] = set()
        self.add_model(name, model)

    def __repr__(self) -> str:
        models = ", ".join(f"'{name}'" for name in self._slots)
        saes = [f"'{name}' ({sae.kind}, {sae.d_sae} features)" for name, sae in self._saes.items()]
        shown = ", ".join(saes[:10]) + (", ..." if len(saes) > 10 else "")
        return f"Lab of model {models or 'none'}; SAEs: {shown or 'none yet, add one with lab.add_sae'}"

    @property
    def models(self) -> Models:
        """The models by name, read-only; looking at one builds it if it is not built yet."""
        return Models(self._slots)

    @property
    def saes(self) -> Mapping[str, SAE]:
        """The SAEs by name, read-only."""
        return MappingProxyType(self._saes)

    @property
    def default_sae(self) -> str:
        """The SAE that is meant where none is named: the first added of those held.

        Raises:
            UnknownNameError: There is none.
        """
        if not self._saes:
            raise UnknownNameError("The lab has no SAE.", do="add one with lab.add_sae(...)")
        return next(iter(self._saes))

    def add_model(self, name: str | None, model: Any) -> str:
        """Hold one more model.

        Args:
            name: What to call it, or None for its own name.
            model: As for :class:`Lab`.

        Returns:
            Its name.

        Raises:
            LoadError: There is no model there, or it cannot be read.
            UnknownNameError: The name is taken.
        """
        if is_loader(model):
            name = self._free_name(name or "model", given=name is not None)
            self._slots[name] = ModelSlot(name, model)
            return name
        if name is not None:
            self._free_name(name, given=True)
        loaded = load_model(model, name)
        name = self._free_name(name or loaded.name, given=name is not None)
        if loaded.name != name:
            loaded = LanguageModel(loaded.model, name)
        self._slots[name] = ModelSlot(name, lambda: loaded, built=loaded)
        return name

    def add_sae(self, source: Any, name: str | None = None, hook: str | None = None, model: str | None = None) -> str:
        """Hold one more SAE.

        Args:
            source: A sae_lens SAE, a sae_lens folder on disk, or a dict of tensors.
            name: What to call it; by default the name of its folder, else "sae", "sae_2", ...
            hook: Hook point that it reads; needed for a dict, else what the SAE itself says.
            model: Name of the model that it reads; by default the first.

        Returns:
            Its name.

        Raises:
            LoadError: There is no SAE there, or one that cannot be used here.
            HookPointError: The model has no such hook point.
            MismatchError: The SAE does not have the width of its hook point.
            NonFiniteError: A weight is NaN or infinite.
            UnknownNameError: There is no such model, or the name is taken.
        """
        model = self.model_name(model)
        if name is not None:
            self._free_name(name, given=True)
        sae = load_sae(source, hook)
        name = self._name_for(source, name)
        _check_fits(name, sae, self._slots[model].get())
        self._hold(name, sae, model)
        self._checked.add(name)
        return name

    def _hold(self, name: str, sae: SAE, model: str) -> None:
        """Hold an SAE without a look at its model, which need not be built; it is checked at first use."""
        self._saes[name], self._reads[name] = sae, model

    def _name_for(self, source: Any, name: str | None) -> str:
        own = Path(source).expanduser().resolve().name if isinstance(source, str | Path) else "sae"
        return self._free_name(name or own, given=name is not None)

    def anchor_of(self, sae: str) -> object:
        """What the worker of an SAE's model belongs to; the model is not built for it.

        Raises:
            UnknownNameError: There is no such SAE.
        """
        return self._slots[self._reads[self.sae_name(sae)]].anchor

    def anchor_of_model(self, name: str) -> object:
        """What the worker of a model belongs to; the model is not built for it.

        Raises:
            UnknownNameError: There is no such model.
        """
        return self._slots[self.model_name(name)].anchor

    def remove(self, name: str) -> None:
        """Let go of a model or an SAE; its memory is free once nobody else holds it.

        Raises:
            UnknownNameError: The lab holds nothing of that name.
            MismatchError: A model that SAEs still read.
        """
        if not isinstance(name, str):
            raise _unknown("model or SAE", name, [*self._slots, *self._saes])
        if name in self._saes:
            del self._saes[name], self._reads[name]
            self._checked.discard(name)
            return
        if name not in self._slots:
            raise _unknown("model or SAE", name, [*self._slots, *self._saes])
        readers = [sae for sae, model in self._reads.items() if model == name]
        if readers:
            raise MismatchError(
                f"Model '{name}' is read by SAEs.", got=", ".join(readers), do="remove these SAEs first"
            )
        del self._slots[name]

    def memory(self) -> Memory:
        """Bytes of each model and SAE, parameters and buffers, each block of memory once; 0 where not built yet."""
        models = [MemoryItem(n, "model", _model_bytes(slot.built)) for n, slot in self._slots.items()]
        saes = [MemoryItem(n, "SAE", _bytes(sae.tensors()) + _array_bytes(sae)) for n, sae in self._saes.items()]
        return Memory((*models, *saes))

    def sae_name(self, sae: str | None = None) -> str:
        """A name of an SAE that the lab holds; the default one for None.

        Raises:
            UnknownNameError: There is none of that name; lists those there are.
        """
        name = self.default_sae if sae is None else sae
        if not isinstance(name, str) or name not in self._saes:
            raise _unknown("SAE", name, self._saes)
        return name

    def model_name(self, model: Any = None) -> str:
        """A name of a model that the lab holds; the first for None.

        Raises:
            UnknownNameError: There is none of that name; lists those there are.
        """
        name = next(iter(self._slots), "") if model is None else model
        if not isinstance(name, str) or name not in self._slots:
            raise _unknown("model", name, self._slots)
        return name

    def model_of(self, sae: str | None = None) -> LanguageModel:
        """The model that an SAE reads, built and checked to fit.

        Raises:
            UnknownNameError: There is no such SAE.
            HookPointError: The model has no such hook point.
            MismatchError: The SAE does not have the width of its hook point.
        """
        name = self.sae_name(sae)
        model = self._slots[self._reads[name]].get()
        if name not in self._checked:
            _check_fits(name, self._saes[name], model)
            self._checked.add(name)
        return model

    def feature_id(self, feature: object, sae: str | None = None) -> FeatureId:
        """A feature that the lab holds, from ``"sae/123"``, ``"123"``, 123 or a :class:`FeatureId`.

        Args:
            feature: The feature.
            sae: SAE of a bare index; by default the default one.

        Raises:
            FeatureIndexError: Not a whole number from 0 to d_sae - 1.
            UnknownNameError: There is no such SAE; lists those there are.
        """
        found = FeatureId.parse(feature, self.sae_name(sae))
        d_sae = self._saes[self.sae_name(found.sae)].d_sae
        index = found.index
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < d_sae:
            raise FeatureIndexError(
                f"SAE '{found.sae}' has no such feature.", got=repr(index), expected=f"a whole number in 0..{d_sae - 1}"
            )
        return found

    def _free_name(self, name: str, given: bool) -> str:
        """``name`` if it is free; a name that the user did not give gets a number."""
        if not isinstance(name, str) or not name.strip():
            raise LoadError("This is not a name.", got=repr(name), expected="some text")
        taken = self._slots.keys() | self._saes.keys()
        if name in taken and given:
            raise UnknownNameError(
                "The lab already holds something of that name.",
                got=repr(name),
                expected="a new name",
                do=f"lab.remove({name!r}) first, or take another name",
            )
        numbered = (f"{name}_{n}" for n in range(2, len(taken) + 3))
        return name if name not in taken else next(free for free in numbered if free not in taken)


def _check_fits(name: str, sae: SAE, model: LanguageModel) -> None:
    shape = model.hook_shape(sae.hook)
    width = int(np.prod(shape)) if sae.reshape_heads else shape[-1] if len(shape) == 1 else None
    if width != sae.d_in:
        raise MismatchError(
            f"SAE '{name}' does not fit the hook point '{sae.hook}' of model '{model.name}'.",
            got=f"SAE d_in {sae.d_in}, hook width {' x '.join(map(str, shape))}",
            expected="the same width",
            do="check the hook point and the model that the SAE was trained on",
        )


def _unknown(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    listed = ", ".join(f"'{each}'" for each in known) or "none are held yet"
    return UnknownNameError(f"The lab has no {kind} of that name.", got=repr(name)[:80], expected=listed)


def _bytes(tensors: Iterable[Tensor]) -> int:
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def _model_bytes(model: LanguageModel | None) -> int:
    return 0 if model is None else _bytes([*model.model.parameters(), *model.model.buffers()])


def _array_bytes(sae: SAE) -> int:
    return sum(array.nbytes for array in (sae.density, sae.reference_max) if array is not None)
