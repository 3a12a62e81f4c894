"""A widget of this process and its script in Chromium, joined by a web socket: no Jupyter between them."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comm
from comm.base_comm import BaseComm
from tornado import httpserver, netutil, web, websocket

PAGE = (Path(__file__).parent / "bridge.html").read_text()


class Bridge:
    """Serves the page and carries messages.

    ``sent`` and ``received`` hold what went to and came from the browser. While ``holding``, nothing that the browser
    sends reaches Python, as if a cell were running.
    """

    def __init__(self) -> None:
        self.comms: dict[str, BridgeComm] = {}
        self.sockets: set[websocket.WebSocketHandler] = set()
        self.sent: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        self.holding = False
        self._held: list[dict[str, Any]] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="bridge", daemon=True)

    def start(self) -> None:
        """Serve, on a free port of this machine."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def release(self) -> None:
        """Let what was held through, in order."""
        self.holding = False
        held, self._held = self._held, []
        for message in held:
            self._loop.call_soon_threadsafe(self.take, message)

    def page_url(self, widget: Any, theme: str = "light") -> str:
        """Address of a page that shows the widget."""
        return f"{self.url}/?model={widget.model_id}&theme={theme}"

    def send(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        """Send to all pages; from any thread."""
        self.sent.append(message)
        frame = pack_frame(message, buffers)
        self._loop.call_soon_threadsafe(self._write, frame)

    def take(self, message: dict[str, Any]) -> None:
        """What the browser sent; runs on the bridge's thread, as a subshell would."""
        if self.holding:
            self._held.append(message)
            return
        self.received.append(message)
        target = self.comms.get(message["id"])
        if target is not None:
            data = {"method": "custom", "content": message["content"]}
            target.handle_msg({"content": {"data": data}, "buffers": []})

    def _write(self, frame: bytes) -> None:
        for socket in list(self.sockets):
            socket.write_message(frame, binary=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        bridge = self

        class Page(web.RequestHandler):
            def get(self) -> None:
                self.finish(PAGE)

        class Icon(web.RequestHandler):
            def get(self) -> None:
                self.set_status(204)

        class Socket(websocket.WebSocketHandler):
            def open(self, *_: str) -> None:
                bridge.sockets.add(self)
                target = bridge.comms[self.get_argument("model")]
                self.write_message(pack_frame(*target.snapshot()), binary=True)

            def on_message(self, message: str | bytes) -> None:
                bridge.take(json.loads(message))

            def on_close(self) -> None:
                bridge.sockets.discard(self)

        async def listen() -> None:
            sockets = netutil.bind_sockets(0, "127.0.0.1")
            server = httpserver.HTTPServer(web.Application([("/", Page), ("/socket", Socket), ("/favicon.ico", Icon)]))
            server.add_sockets(sockets)
            self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"

        self._loop.run_until_complete(listen())
        self._loop.call_soon(self._ready.set)  # sooner, and a stop would end the line above in place of the one below
        self._loop.run_forever()


class BridgeComm(BaseComm):
    """A comm whose other end is the page."""

    bridge: Bridge

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.state: dict[str, Any] = {}
        self.buffers: dict[str, bytes] = {}
        kwargs.setdefault("comm_id", uuid.uuid4().hex)
        self.bridge.comms[kwargs["comm_id"]] = self
        super().__init__(*args, **kwargs)

    def snapshot(self) -> tuple[dict[str, Any], list[bytes]]:
        """The message that shows the widget as it is now."""
        state = {name: value for name, value in self.state.items() if name not in self.buffers}
        message = {"type": "open", "id": self.comm_id, "state": state, "paths": list(self.buffers)}
        return message, list(self.buffers.values())

    def publish_msg(
        self,
        msg_type: str,
        data: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: list[bytes] | None = None,
        **keys: Any,
    ) -> None:
        """Send a message of the widget to the page."""
        data = data or {}
        binary = [bytes(buffer) for buffer in buffers or []]
        if msg_type == "comm_close":
            self.bridge.send({"type": "close", "id": self.comm_id}, [])
        elif data.get("method") == "custom":
            self.bridge.send({"type": "custom", "id": self.comm_id, "content": data["content"]}, binary)
        elif "state" in data:
            names = [path[0] for path in data.get("buffer_paths", [])]
            self.state.update(json.loads(json.dumps(data["state"])))
            self.buffers.update(zip(names, binary, strict=True))
            if msg_type == "comm_msg":
                self.bridge.send({"type": "update", "id": self.comm_id, "state": data["state"], "paths": names}, binary)


def pack_frame(message: dict[str, Any], buffers: list[bytes]) -> bytes:
    """Length of the text, the text, and for each buffer its length and bytes."""
    text = json.dumps(message).encode()
    parts = [struct.pack("<I", len(text)), text]
    for buffer in buffers:
        parts += [struct.pack("<I", len(buffer)), buffer]
    return b"".join(parts)


@contextmanager
def bridged() -> Iterator[Bridge]:
    """A running bridge that all widgets made meanwhile belong to."""
    bridge = Bridge()
    bridge.start()
    kind = type("ThisBridgeComm", (BridgeComm,), {"bridge": bridge})
    former: Callable[..., Any] = comm.create_comm
    comm.create_comm = kind
    try:
        yield bridge
    finally:
        comm.create_comm = former
        bridge.stop()
