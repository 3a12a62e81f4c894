"""Builds the index that is shipped: every feature of the default SAE over documents of a stream of their own."""

from __future__ import annotations

import shutil

from saewidgets.demo.build.settings import Paths, Settings, stream_seed
from saewidgets.demo.indexes import write_index
from saewidgets.demo.lab import BundledLab
from saewidgets.index import FeatureIndex

MOST_BYTES = 8_000_000


def build_index(settings: Settings, paths: Paths) -> FeatureIndex:
    """Build the index of ``settings.index_sae`` from the saved model and SAE, in place of what is there.

    Args:
        settings: Says how many documents.
        paths: Of the model, the SAE and the index.

    Returns:
        The index.

    Raises:
        ValueError: It is larger than 8 MB.
    """
    name = settings.index_sae
    folder = paths.index(name)
    shutil.rmtree(folder.parent, ignore_errors=True)
    lab = BundledLab(paths.out, name)
    seed = stream_seed(settings, "index")
    write_index(lab, name, folder, settings.index_documents, seed, quiet=True)
    index = FeatureIndex(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > MOST_BYTES:
        raise ValueError(f"the index has {size:,} bytes, more than {MOST_BYTES:,}; lower index_documents")
    return index
