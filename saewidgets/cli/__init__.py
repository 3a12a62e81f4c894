"""The command ``saewidgets``.

Exit status: 0 done, 1 something is wrong and was said, 2 the command was not understood, 130 it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import saewidgets
from saewidgets.errors import SaewidgetsError
from saewidgets.results.text import one_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, given as on the command line.

    Example:
        >>> main(["--version"])  # doctest: +SKIP
        saewidgets 0.1.0
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except SaewidgetsError as error:
        print(in_words(error), file=sys.stderr)
        return 1
    except BrokenPipeError:  # | head
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the interpreter's last flush
        return 1
    except OSError as error:  # what a disk or a name can do, such as one that is too long
        name = "" if error.filename is None else f": {str(error.filename)[:200]}"
        print(one_line(f"{error.strerror or error}{name}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def in_words(error: SaewidgetsError) -> str:
    """An error as lines for a terminal; what a stranger wrote stays on its line."""
    return "\n".join(one_line(line) for line in str(error).split("\n"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="saewidgets", description="A microscope for sparse autoencoders that lives in a notebook cell."
    )
    parser.add_argument("--version", action="version", version=f"saewidgets {saewidgets.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _lab(commands)
    _export(commands)
    _annotations(commands)
    _clean(commands)
    _doctor(commands)
    return parser


def _lab(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "open JupyterLab on a working copy of the bundled notebooks"
    parser = commands.add_parser("lab", help=text, description=f"{text}; notebooks that are there already stay")
    parser.add_argument(
        "--folder", default="saewidgets-notebooks", metavar="FOLDER", help="default: ./saewidgets-notebooks"
    )
    parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENT", help="for JupyterLab, such as -- --no-browser")
    parser.set_defaults(run=_run_lab)


def _export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "write a notebook with its outputs as one HTML file that needs no kernel and no network"
    parser = commands.add_parser("export", help=text, description=text)
    parser.add_argument("notebook", metavar="NOTEBOOK")
    parser.add_argument("-o", "--out", metavar="FILE", help="default: beside the notebook, with .html")
    help_ = "run the notebook's code for it, in a fresh kernel: views live, sliders move; the notebook stays as it is"
    parser.add_argument("--execute", action="store_true", help=help_)
    parser.set_defaults(run=_run_export_notebook)


def _annotations(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "merge, export or check folders of annotations"
    parser = commands.add_parser("annotations", help=text, description=text)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    text = "put several people's folders into a new one"
    merge = verbs.add_parser("merge", help=text, description=text)
    merge.add_argument("folders", nargs="+", metavar="FOLDER", help="a folder of annotations, or one file of it")
    merge.add_argument("--out", required=True, metavar="FOLDER", help="a folder that is empty, or not there yet")
    merge.set_defaults(run=_run_merge)
    text = "write what stands in a folder to one file"
    export = verbs.add_parser("export", help=text, description=text)
    export.add_argument("folder", nargs="?", metavar="FOLDER", help="default: saewidgets_annotations")
    export.add_argument("--csv", metavar="FILE", help="a table for people and spreadsheets")
    export.add_argument("--json", metavar="FILE", help="for other programs, and for lab.import_annotations")
    export.set_defaults(run=_run_export)
    text = "say what is in a folder and what cannot be read; status 1 where anything cannot"
    check = verbs.add_parser("check", help=text, description=text)
    check.add_argument("folder", nargs="?", metavar="FOLDER", help="default: saewidgets_annotations")
    check.set_defaults(run=_run_check)


def _clean(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "remove saved widget state, which hides outputs on GitHub, from notebooks; nothing else changes"
    parser = commands.add_parser("clean", help=text, description=text)
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK")
    parser.add_argument("--check", action="store_true", help="change nothing; status 1 where there is state to remove")
    parser.set_defaults(run=_run_clean)


def _doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "say what is installed and what works here, without the network; status 1 where something needed does not"
    more = "With NOTEBOOK, --sae or --model only these are looked at. Nothing is changed or fetched."
    parser = commands.add_parser("doctor", help=text, description=f"{text}. {more}")
    help_ = "say whether Jupyter trusts it here, and what its readers see"
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help=help_)
    parser.add_argument("--sae", metavar="FOLDER", help="say whether this SAE will work: its kind, shapes and weights")
    parser.add_argument("--model", metavar="FOLDER", help="and whether it fits this model, a folder on this computer")
    parser.add_argument("--hook", metavar="HOOK", help="the hook point that the SAE reads, where not its own")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="do not run the bundled model")
    parser.set_defaults(run=_run_doctor)


def _run_lab(options: argparse.Namespace) -> int:
    from saewidgets.cli.lab import open_lab

    return open_lab(options.folder, options.arguments)


def _run_export_notebook(options: argparse.Namespace) -> int:
    from saewidgets.cli.export import export_file

    return export_file(options.notebook, options.out, execute=options.execute)


def _run_merge(options: argparse.Namespace) -> int:
    from saewidgets.cli.annotations import merge_folders

    return merge_folders(options.folders, options.out)


def _run_export(options: argparse.Namespace) -> int:
    from saewidgets.cli.annotations import export_folder

    return export_folder(options.folder, options.csv, options.json)


def _run_check(options: argparse.Namespace) -> int:
    from saewidgets.cli.annotations import check_folder

    return check_folder(options.folder)


def _run_clean(options: argparse.Namespace) -> int:
    from saewidgets.cli.clean import clean_notebooks

    return clean_notebooks(options.notebooks, options.check)


def _run_doctor(options: argparse.Namespace) -> int:
    from saewidgets.cli.doctor import examine

    return examine(
        options.notebooks, options.sae, options.model, options.hook, quick=options.quick, as_json=options.json
    )
