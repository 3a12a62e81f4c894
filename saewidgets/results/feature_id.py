"""The name of a feature: one latent of one SAE."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from saewidgets.errors import FeatureIndexError


@dataclass(frozen=True, order=True)
class FeatureId:
    """One latent of one SAE; its string is ``"sae_name/123"``.

    Args:
        sae: Name of the SAE in the lab.
        index: Latent, from 0 to d_sae - 1.

    Example:
        >>> str(FeatureId("mid", 7)), FeatureId.parse("mid/7") == FeatureId("mid", 7)
        ('mid/7', True)
    """

    sae: str
    index: int

    def __str__(self) -> str:
        return f"{self.sae}/{self.index}"

    @classmethod
    def parse(cls, feature: object, default_sae: str | None = None) -> FeatureId:
        """Read ``"sae/123"``, ``"123"``, 123 or a FeatureId.

        Args:
            feature: The name; a bare index needs ``default_sae``.
            default_sae: SAE that a bare index belongs to.

        Raises:
            FeatureIndexError: The index is not a whole number >= 0, or its SAE is not known.
        """
        if isinstance(feature, FeatureId):
            return feature
        sae, index = default_sae, feature
        if isinstance(feature, str):
            head, slash, tail = feature.rpartition("/")
            sae = head if slash else default_sae
            index = int(tail) if tail.isascii() and tail.isdigit() and len(tail) < 19 else tail
        if not sae or isinstance(index, bool | str) or not isinstance(index, Integral) or index < 0:
            raise FeatureIndexError(
                "This is not the name of a feature.",
                got=repr(feature),
                expected="'sae_name/123', or a whole number >= 0 where there is one SAE",
                do="list the SAEs with lab.saes",
            )
        return cls(sae, int(index))
