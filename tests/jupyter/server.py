"""A real JupyterLab or Notebook 7 in folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

App = Literal["lab", "notebook"]
ROOT = Path(__file__).resolve().parents[2]

# The page's whole API is then window.jupyterapp.
EXPOSE = {
    "lab": ["jupyterlab", "--LabApp.expose_app_in_browser=True"],
    "notebook": ["notebook", "--JupyterNotebookApp.expose_app_in_browser=True"],
}
OPEN = {"lab": "/doc/tree/{path}?token={token}&reset", "notebook": "/notebooks/{path}?token={token}"}

# Runs in each kernel before anything else: an address outside this machine is refused and written down.
GUARD = """
import socket

def _only_loopback(event, args, seen=[]):
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = str(args[1][0])
        if not (host.startswith("127.") or host in ("localhost", "::1")):
            seen.append(host)
            raise OSError(f"a test's kernel tried to reach {host}")
    elif event == "saewidgets.test.hosts":
        args[0].extend(seen)

import sys
sys.addaudithook(_only_loopback)
"""


@dataclass(frozen=True)
class Server:
    """A running server: which app, its address, its token, and the folder that it shows."""

    app: App
    origin: str
    token: str
    folder: Path

    def url(self, path: str) -> str:
        """Address of one notebook."""
        return self.origin + OPEN[self.app].format(path=path, token=self.token)

    def _ask(self, method: str, path: str) -> bytes:
        header = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.origin + path, method=method, headers=header)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read()

    def stop_kernels(self, path: str) -> None:
        """End the kernels of one notebook."""
        for session in json.loads(self._ask("GET", "/api/sessions")):
            if session["path"] == path:
                self._ask("DELETE", f"/api/sessions/{session['id']}")


def _environment(home: Path) -> dict[str, str]:
    """The environment of a server that sees none of the user's settings."""
    names = ("CONFIG", "DATA", "RUNTIME")
    folders = {f"JUPYTER_{name}_DIR": home / name.lower() for name in names}
    folders |= {"IPYTHONDIR": home / "ipython"}
    folders |= {"JUPYTERLAB_SETTINGS_DIR": home / "settings", "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces"}
    for folder in folders.values():
        folder.mkdir(parents=True)
    news = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    startup = home / "ipython" / "profile_default" / "startup" / "00-only-loopback.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(GUARD)
    own = {name: str(folder) for name, folder in folders.items()}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return os.environ | own | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def _wait_until_up(process: subprocess.Popen[bytes], runtime: Path, log: Path, seconds: float) -> str:
    """The server's origin, once it answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(StopIteration, ValueError, urllib.error.URLError, ConnectionError):
            info = json.loads(next(runtime.glob("jpserver-*.json")).read_text())
            origin = f"http://127.0.0.1:{info['port']}"
            urllib.request.urlopen(f"{origin}/api", timeout=5).close()
            return origin
        time.sleep(0.1)
    message = f"the server did not come up:\n{log.read_text()[-4000:]}"
    raise RuntimeError(message)


@contextlib.contextmanager
def running(app: App, home: Path, seconds: float = 120) -> Iterator[Server]:
    """Start ``app`` in ``home`` and stop it at the end."""
    folder, log, token = home / "notebooks", home / "server.log", secrets.token_hex(16)
    environment = _environment(home)
    folder.mkdir()
    module, *options = EXPOSE[app]
    command = [sys.executable, "-m", module, "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", *options]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            origin = _wait_until_up(process, home / "runtime", log, seconds)
            yield Server(app, origin, token, folder)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
