"""What engine and wire tell each other, as plain tuples: pickling a named one takes ten times as long."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from app.core.outcome import Result, Timings
from app.delivery.orders import Claim, DeliverySettings, Landing, Loaded, Order, Sent, SentBodyRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.core.presets import Preset
    from app.core.schemes import Scheme

_TIMINGS = Result._fields.index("timings")
_SETTINGS = tuple(field.name for field in fields(DeliverySettings))


def pack_orders(orders: Sequence[Order]) -> list[tuple[Any, ...]]:
    """Write orders; an event that goes to many webhooks is written once."""
    events = {order.event.id: tuple(order.event) for order in orders}
    return [
        (tuple(claim), events[event.id], around, None if sent is None else tuple(sent))
        for claim, event, around, sent in orders
    ]


def read_orders(packed: Sequence[tuple[Any, ...]]) -> list[Order]:
    """Read what `pack_orders` wrote."""
    events: dict[int, Loaded] = {}
    orders = []
    for claim, event, around, sent in packed:
        loaded = events.get(event[0]) or events.setdefault(event[0], Loaded._make(event))
        orders.append(Order(Claim._make(claim), loaded, around, None if sent is None else Sent._make(sent)))
    return orders


def pack_landing(landing: Landing) -> tuple[Any, ...]:
    """Write a landing."""
    order, result, request_headers, body, allowance = landing
    flat = (*result[:_TIMINGS], tuple(result.timings), *result[_TIMINGS + 1 :])
    return order, flat, request_headers, None if body is None else tuple(body), allowance


def read_landing(packed: tuple[Any, ...]) -> Landing:
    """Read what `pack_landing` wrote."""
    order, flat, request_headers, body, allowance = packed
    result = Result._make((*flat[:_TIMINGS], Timings._make(flat[_TIMINGS]), *flat[_TIMINGS + 1 :]))
    return Landing(order, result, request_headers, None if body is None else SentBodyRow._make(body), allowance)


Packed = dict[int, dict[str, Any] | None]


def pack_settings(settings: Mapping[int, DeliverySettings | None]) -> Packed:
    """Write settings, by webhook. Preset and scheme go by their names: what they are made of are functions."""
    return {webhook_id: None if kept is None else _packed(kept) for webhook_id, kept in settings.items()}


def _packed(kept: DeliverySettings) -> dict[str, Any]:
    return {name: getattr(kept, name) for name in _SETTINGS} | {
        "preset": kept.preset.name,
        "scheme": kept.scheme.name if kept.scheme else None,
        "shape": replace(kept.shape, envelope=None),
    }


def read_settings(
    packed: Packed, presets: Mapping[str, Preset], schemes: Mapping[str, Scheme]
) -> dict[int, DeliverySettings | None]:
    """Read what `pack_settings` wrote, with the same presets and schemes."""
    return {webhook_id: None if told is None else _read(told, presets, schemes) for webhook_id, told in packed.items()}


def _read(told: dict[str, Any], presets: Mapping[str, Preset], schemes: Mapping[str, Scheme]) -> DeliverySettings:
    preset = presets[told["preset"]]
    scheme = schemes[told["scheme"]] if told["scheme"] else None
    shape = replace(told["shape"], envelope=preset.envelope)
    return DeliverySettings(**(told | {"preset": preset, "scheme": scheme, "shape": shape}))
