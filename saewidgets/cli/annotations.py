"""``saewidgets annotations``: folders of annotations from the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from saewidgets.annotations import DEFAULT_FOLDER, Report, check, merge
from saewidgets.annotations.exchange import write_annotations
from saewidgets.errors import AnnotationError

SHOWN = 100


def merge_folders(folders: Sequence[str], out: str) -> int:
    """Put several people's folders into a new one."""
    _say(merge(folders, out), out)
    return 0


def export_folder(folder: str | None, csv: str | None, json: str | None) -> int:
    """Write what stands in a folder to one file of each kind that is named."""
    if csv is None and json is None:
        raise AnnotationError("There is nothing to export to.", expected="--csv FILE or --json FILE")
    report = check(folder or DEFAULT_FOLDER)
    for path, suffix in ((csv, ".csv"), (json, ".json")):
        if path is not None:
            write_annotations(report.annotations, path, suffix)
            print(f"{path}: {len(report.annotations)} annotations")
    _problems(report)
    return 0


def check_folder(folder: str | None) -> int:
    """Say what is in a folder; 1 where anything in it cannot be read."""
    report = check(folder or DEFAULT_FOLDER)
    _say(report, folder or DEFAULT_FOLDER)
    return 1 if report.problems else 0


def _say(report: Report, folder: str) -> None:
    kinds = Counter(each.target.kind for each in report.annotations)
    of = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(kinds.items()))
    about = f"{len(report.annotations)} annotations" + (f" ({of})" if of else "")
    print(f"{folder}: {report.files} files, {report.records} records, {about}")
    _problems(report)


def _problems(report: Report) -> None:
    """The lines that were not read; they stay in their files."""
    if report.problems:
        print(f"{len(report.problems)} lines or files were not read, and stay as they are:")
    for problem in report.problems[:SHOWN]:
        print(f"  {problem}")
    if len(report.problems) > SHOWN:
        print(f"  and {len(report.problems) - SHOWN} more")
