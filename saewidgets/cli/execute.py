"""A notebook that is run in a fresh kernel, and its page, made in that kernel while its views live."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from warnings import catch_warnings, simplefilter

from saewidgets.errors import LoadError, MissingPackageError, SaewidgetsError
from saewidgets.export.notebook import Exported, _cells, _read, exported
from saewidgets.export.outputs import _as_printed

LAST_LINES = 8
"""Of a traceback, how many are said."""


def run_and_export(source: Path) -> Exported:
    """Run a notebook in its folder, with the kernel that it names, and make its page in that kernel.

    Args:
        source: The notebook's file; it stays as it is.

    Returns:
        The page, not yet written.

    Raises:
        LoadError: There is no notebook there, or its kernel is not installed or speaks another language.
        MissingPackageError: nbconvert or ipykernel is not installed.
        SaewidgetsError: A cell raised an error, the kernel did not start or died, or it cannot make the page.

    Example:
        >>> run_and_export(Path("03_steering.ipynb")).n_live  # doctest: +SKIP
        1
    """
    if find_spec("nbclient") is None:
        do = 'pip install "saewidgets[export]"'
        raise MissingPackageError("Running a notebook needs nbclient.", got="no nbclient", do=do)
    notebook = _runnable(source)
    print(f"{source}: its code runs in a fresh kernel", flush=True)
    with TemporaryDirectory(prefix="saewidgets-") as folder:
        return asyncio.run(_in_kernel(notebook, source.absolute(), Path(folder)))


def make_page(run: str, source: str, made: str) -> None:
    """In the kernel: write the page of a notebook as it was run, and how many views live in it, as JSON.

    Args:
        run: File of the notebook with the outputs of this kernel.
        source: File that the notebook comes from.
        made: File to write.
    """
    page = exported(json.loads(Path(run).read_text("utf-8")), Path(source))
    Path(made).write_text(json.dumps(asdict(page)), "utf-8")


def _runnable(source: Path) -> Any:
    import nbformat

    found = _read(source)
    _cells(found, source)
    try:
        with catch_warnings():  # cells without ids, of older notebooks, get some
            simplefilter("ignore")
            problems: dict[str, Any] = {}
            notebook = nbformat.reads(json.dumps(found), 4, problems)
            if problems:
                raise problems["ValidationError"]
    except (nbformat.ValidationError, TypeError, ValueError, KeyError) as error:
        got = f"{source.name}: {error}".split("\n", 1)[0][:200]
        raise LoadError("This is not a notebook that can be run.", got=got) from error
    return notebook


async def _in_kernel(notebook: Any, source: Path, folder: Path) -> Exported:
    from nbclient import NotebookClient

    where = {"metadata": {"path": str(source.parent)}}
    client = NotebookClient(notebook, store_widget_state=False, resources=where)
    kernel: Any = client.create_kernel_manager()
    _check(kernel)
    try:
        try:
            await client.async_start_new_kernel()
            await client.async_start_new_kernel_client()
        except (RuntimeError, OSError) as error:
            raise SaewidgetsError("The kernel did not start.", got=f"{kernel.kernel_name}: {error}") from error
        for n, cell in enumerate(notebook.cells):
            do = "a cell with the tag raises-exception may fail, one with skip-execution is not run"
            await _execute(client, cell, n, f"Cell {n + 1} of {source.name}", do)
        run, made = folder / "run.ipynb", folder / "made.json"
        run.write_text(json.dumps(notebook), "utf-8")
        paths = ", ".join(repr(str(path)) for path in (run, source, made))
        notebook.cells.append(_cell(f"from saewidgets.cli.execute import make_page\nmake_page({paths})"))
        do = f"install this version of saewidgets, and nbconvert, for the kernel {kernel.kernel_name}"
        await _execute(client, notebook.cells[-1], len(notebook.cells) - 1, "Making the page in the kernel", do)
        return Exported(**json.loads(made.read_text("utf-8")))
    finally:
        if await kernel.is_alive():
            await kernel.shutdown_kernel(now=_interrupted())
        await kernel.cleanup_resources()
        if client.kc is not None:
            client.kc.stop_channels()


def _check(kernel: Any) -> None:
    from jupyter_client.kernelspec import NoSuchKernel

    name = kernel.kernel_name
    try:
        language = kernel.kernel_spec.language
    except NoSuchKernel as error:
        if name == "python3" and find_spec("ipykernel") is None:
            do = "pip install ipykernel"
            raise MissingPackageError("Running a notebook needs ipykernel.", got="no ipykernel", do=do) from error
        known = ", ".join(sorted(kernel.kernel_spec_manager.find_kernel_specs())) or "none is installed"
        do = "choose a kernel in JupyterLab and save the notebook"
        raise LoadError("The notebook's kernel is not installed.", got=name, expected=known, do=do) from error
    if language.lower() != "python":
        raise LoadError("Only notebooks in Python can be run here.", got=f"{name}: {language}")


def _cell(source: str) -> Any:
    import nbformat

    return nbformat.v4.new_code_cell(source)


async def _execute(client: Any, cell: Any, n: int, what: str, do: str) -> None:
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    try:
        await client.async_execute_cell(cell, n)
    except CellExecutionError as error:
        last = _as_printed(error.traceback).rstrip().split("\n")[-LAST_LINES:]
        raise SaewidgetsError(f"{what} failed; no page was written.", got="\n".join(last), do=do) from error
    except DeadKernelError as error:
        if _interrupted():  # nbclient takes the cancelled wait for a kernel that has died
            raise KeyboardInterrupt from error
        raise SaewidgetsError(f"{what} ended the kernel; no page was written.", got=error) from error


def _interrupted() -> bool:
    """Whether Ctrl-C was pressed: asyncio then cancels the task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
