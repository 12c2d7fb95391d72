"""Bodies that webhooks share: those that shape alike send the same bytes for an event."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from app.core.shaping import Shape
    from app.delivery.orders import SentBodyRow, Surroundings

MOST_BYTES = 16 * 1024 * 1024


class Body(NamedTuple):
    """The bytes that go out, how the log keeps them, and what they were made of."""

    event: str
    sent: bytes
    kept: SentBodyRow
    shape: Shape
    around: Surroundings


@lru_cache(4096)
def one_of_a_kind(shape: Shape) -> Shape:
    """Webhooks that shape alike hold the same object, so that what is made for one can be known to fit another."""
    return shape


class SharedBodies:
    """The bodies made last, by shape and the event's public id: a row's number may be another event's one day."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[str, int], Body] = {}
        self._bytes = 0

    def of(self, event: str, shape: Shape, around: Surroundings) -> Body | None:
        """Return the body of an event in this shape, if it was made and its directory entries are still the same."""
        body = self._bodies.get((event, id(shape)))
        return body if body is not None and body.around == around else None

    def keep(self, body: Body) -> None:
        """Keep a body for other webhooks, if it is the same for all of them."""
        if not body.shape.is_shared:
            return
        self._bytes += len(body.sent)
        if self._bytes > MOST_BYTES:
            self._bodies.clear()
            self._bytes = len(body.sent)
        self._bodies[body.event, id(body.shape)] = body  # holds the shape: its id can't become another's
