"""The receiver of the kill -9 checker, as a process: what it answers is on disk before it answers.

`python -m tests.crash.hits FILE SEED` prints its port. It fails now and then, until SIGUSR1 makes it kind.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

WELL_BETWEEN = 8  # requests answered 200 after each that was not: the breaker shall not open
ANSWERS = {
    "200": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "slow": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
}


class Hits:
    """Reads requests, keeps a line of each, and answers by chance."""

    def __init__(self, file: str, seed: int) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._chance = random.Random(seed)
        self._is_kind = False
        self._well = 0
        self._lines: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing = False

    def be_kind(self) -> None:
        """Answer 200 at once from now on."""
        self._is_kind = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
                await reader.readexactly(int(headers[b"content-length"]))
                kind = self._choose()
                await self._keep(b"%b %b %b\n" % (headers[b"webhook-id"], headers[b"postroom-delivery"], kind.encode()))
                if kind == "silent":
                    await reader.read()  # until the other side has had enough
                    return
                if kind == "slow":
                    await asyncio.sleep(0.2)
                writer.write(ANSWERS[kind])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _choose(self) -> str:
        self._well += 1
        if self._is_kind or self._well <= WELL_BETWEEN or self._chance.random() > 0.3:
            return "200"
        self._well = 0
        return self._chance.choice(["500", "500", "slow", "slow", "silent"])

    async def _keep(self, line: bytes) -> None:
        kept = asyncio.get_running_loop().create_future()
        self._lines.append((line, kept))
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_soon(self._sync)
        await kept

    def _sync(self) -> None:
        """Write what has come in meanwhile, with one fsync for all."""
        lines, self._lines, self._writing = self._lines, [], False
        os.write(self._file, b"".join(line for line, _ in lines))
        os.fsync(self._file)
        for _, kept in lines:
            if not kept.cancelled():
                kept.set_result(None)


async def main() -> None:
    """Serve until SIGTERM."""
    hits, loop, ended = Hits(sys.argv[1], int(sys.argv[2])), asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, hits.be_kind)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await asyncio.start_server(hits.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
