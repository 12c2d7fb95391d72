"""Messages between two processes of ours: pickled tuples over a socket pair that nobody else can write to."""

from __future__ import annotations

import pickle
import select
import socket
import struct
import threading
from collections import deque
from typing import Any

BUFFER = 1024 * 1024

_LENGTH = struct.Struct("!I")


class Channel:
    """One end of the messages. Sending never waits: what the other end has no room for yet goes with the next `flush`.

    Any thread may send; one receives.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, buffer, BUFFER)  # the kernel gives what it may
        self._end = end
        self._lock = threading.Lock()
        self._unsent: deque[memoryview] = deque()
        self._received = bytearray()
        self._has_ended = False

    def fileno(self) -> int:
        """For those who wait for it."""
        return self._end.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for room at the other end."""
        return bool(self._unsent)

    def send(self, *message: Any) -> None:
        """Send a message."""
        packed = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._unsent.append(memoryview(_LENGTH.pack(len(packed)) + packed))
            self._flush()

    def flush(self) -> None:
        """Send what had to wait."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent = self._end.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    self._unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:  # nobody is there any more, which `receive` will say
            self._unsent.clear()

    def receive(self, most: int | None = None) -> list[Any]:
        """Return the messages that are there, at most so many.

        Raises `EOFError` when the other end is gone and all that it said was received.
        """
        self._take_in()
        messages: list[Any] = []
        at = 0
        while len(self._received) - at >= _LENGTH.size and len(messages) != most:
            end = at + _LENGTH.size + _LENGTH.unpack_from(self._received, at)[0]
            if end > len(self._received):
                break
            with memoryview(self._received) as view:
                messages.append(pickle.loads(view[at + _LENGTH.size : end]))  # noqa: S301  only ours is ever read
            at = end
        del self._received[:at]
        if self._has_ended and not messages:
            raise EOFError
        return messages

    def _take_in(self) -> None:
        try:
            while chunk := self._end.recv(BUFFER):
                self._received += chunk
            self._has_ended = True
        except BlockingIOError:
            pass
        except OSError:
            self._has_ended = True

    def wait(self, patience_s: float | None, bell: int | None = None) -> None:
        """Wait until something can be received, or what is unsent can go, or the bell rings."""
        watch = select.poll()
        watch.register(self, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        if bell is not None:
            watch.register(bell, select.POLLIN)
        watch.poll(None if patience_s is None else patience_s * 1000)

    def close(self) -> None:
        """Close this end, which the other one notices."""
        self._end.close()
