"""Labels, notes, tags, ratings and presets in plain files that the user owns.

Example:
    >>> from saewidgets.annotations import AnnotationStore, Target
    >>> store = AnnotationStore("saewidgets_annotations", author="ann")
    >>> target = Target("feature", "gpt2", "blocks.8.hook_resid_pre", "3f2a", 7)
    >>> store.annotate(target, label="London", tags=["place"]).label  # doctest: +SKIP
    'London'
"""

from saewidgets.annotations.agreement import weighted_kappa
from saewidgets.annotations.merging import Report, check, merge
from saewidgets.annotations.opening import open_store
from saewidgets.annotations.store import DEFAULT_FOLDER, AnnotationStore
from saewidgets.results.annotation import Annotation, Explanation, Pin, Problem, Rating, Target

__all__ = [
    "DEFAULT_FOLDER",
    "Annotation",
    "AnnotationStore",
    "Explanation",
    "Pin",
    "Problem",
    "Rating",
    "Report",
    "Target",
    "check",
    "merge",
    "open_store",
    "weighted_kappa",
]
