"""A sparse autoencoder in memory: one core, its kinds, and loaders from objects, folders and tensors."""

from saewidgets.saes.core import SAE, EncodeState
from saewidgets.saes.kinds import GatedSAE, JumpReLUSAE, StandardSAE, TopKSAE
from saewidgets.saes.loading import load_sae

__all__ = ["SAE", "EncodeState", "GatedSAE", "JumpReLUSAE", "StandardSAE", "TopKSAE", "load_sae"]
