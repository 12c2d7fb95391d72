"""P1: drain 50,000 waiting deliveries of 10 webhooks, 1 KB, standard signature.

Reference: a bare pycurl multi loop that signs and sends the same requests, without a database. A second one tells
what the checks cost: our own sender, with every option and the gate, but without queue, database and log.
"""

from __future__ import annotations

import base64
import gc
import hmac
import os
import secrets
import time
from ipaddress import ip_network

import certifi
import pycurl

from app.core.addresses import Allowed
from app.core.urls import Url, parse
from app.delivery.engine import Engine
from app.delivery.installed import installed
from app.delivery.orders import Terms
from app.delivery.resolver import Answer
from app.delivery.sender import Sender
from app.delivery.transfer import Egress, Request
from app.delivery.wire_process import WireProcess
from benchmarks.place import DATA_1K, make_webhooks, place, publish_many
from benchmarks.receiver import Receiver, receiver
from benchmarks.report import Figure

DELIVERIES = 50_000
WEBHOOKS = 10
SIDE_BY_SIDE = 40  # what ten webhooks with four in flight each come to
KEY = os.urandom(32)


def run(rounds: int) -> list[Figure]:
    """Return the drain rate beside the bare loop's."""
    drained, bare, alone = [], [], []
    for _ in range(rounds):
        with receiver() as to:
            bare.append(_bare(to.url, DELIVERIES))
            alone.append(_alone(to.url, DELIVERIES))
            drained.append(_drain(to))
    middle = rounds // 2
    ratio = sorted(drained)[middle] / sorted(bare)[middle]
    what = f"drain of {DELIVERIES:,} waiting deliveries"
    return [
        Figure("P1", what, "/s", tuple(drained), tuple(bare), "≥ 0.25 of a bare libcurl loop", ratio >= 0.25),
        Figure("P1", "the same beside our sender alone", "/s", tuple(drained), tuple(alone)),
    ]


def _drain(to: Receiver) -> float:
    with place() as at:
        make_webhooks(at, to.url, WEBHOOKS)
        egress = Egress(installed().allowed, certifi.where())
        wire = WireProcess(Terms(egress, 256, False, installed().preset_files, "text", ""))
        engine = Engine("bench", wire, lambda: secrets.randbelow(16), 256)
        engine.run(linger_s=0)  # the test payloads of turning on
        publish_many(at, DELIVERIES // WEBHOOKS)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # as `serve` does
        before, began = to.answered, time.perf_counter()
        engine.run(linger_s=0)
        took = time.perf_counter() - began
        assert to.answered - before == DELIVERIES, "not every delivery arrived"
        engine.close()
        gc.unfreeze()
        return DELIVERIES / took


def _alone(url: str, count: int) -> float:
    sender = Sender(Egress(Allowed((ip_network("127.0.0.0/8"),)), certifi.where()), seats=256)
    to, answer = parse(url), Answer(("127.0.0.1",))
    began, started, ended = time.perf_counter(), 0, 0
    while ended < count:
        while started < count and started - ended < SIDE_BY_SIDE:
            sender.start(started, _request(to, started), answer)
            started += 1
        for _, facts in sender.turn(50):
            assert facts.head_complete, facts
            ended += 1
    took = time.perf_counter() - began
    sender.close()
    return count / took


def _request(to: Url, number: int) -> Request:
    event, second, body, signature = _signed(number)
    headers = (
        ("Content-Type", "application/json"),
        ("User-Agent", "Postroom/0"),
        ("Accept", "*/*"),
        ("Postroom-Delivery", f"dlv_{number:026d}"),
        ("webhook-id", event),
        ("webhook-timestamp", second),
        ("webhook-signature", f"v1,{signature}"),
    )
    return Request(to, headers, body, 15_000)


def _signed(number: int) -> tuple[str, str, bytes, str]:
    event, second = f"evt_{number:026d}", str(int(time.time()))
    opening = f'{{"id":"{event}","type":"job.created","timestamp":"2026-11-21T09:00:00.000Z","data":'
    body = opening.encode() + DATA_1K + b"}"
    signature = base64.b64encode(hmac.digest(KEY, f"{event}.{second}.".encode() + body, "sha256")).decode()
    return event, second, body, signature


def _bare(url: str, count: int) -> float:
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, 2 * SIDE_BY_SIDE)
    handles = [pycurl.Curl() for _ in range(SIDE_BY_SIDE)]
    began, started, ended = time.perf_counter(), 0, 0
    for handle in handles:
        _prepare(handle, url, started)
        multi.add_handle(handle)
        started += 1
    while ended < count:
        while multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        waiting = 1
        while waiting:
            waiting, whole, broken = multi.info_read()
            assert not broken, broken
            for handle in whole:
                assert handle.getinfo(pycurl.RESPONSE_CODE) == 204
                multi.remove_handle(handle)
                ended += 1
                if started < count:
                    _prepare(handle, url, started)
                    multi.add_handle(handle)
                    started += 1
        multi.select(0.05)
    return count / (time.perf_counter() - began)


def _prepare(handle: pycurl.Curl, url: str, number: int) -> None:
    event, second, body, signature = _signed(number)
    answer: list[bytes] = []
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.POSTFIELDS, body)
    handle.setopt(
        pycurl.HTTPHEADER,
        [
            "Content-Type: application/json",
            "User-Agent: Postroom/0",
            "Accept: */*",
            "Expect:",
            f"Postroom-Delivery: dlv_{number:026d}",
            f"webhook-id: {event}",
            f"webhook-timestamp: {second}",
            f"webhook-signature: v1,{signature}",
        ],
    )
    handle.setopt(pycurl.HEADERFUNCTION, answer.append)
    handle.setopt(pycurl.WRITEFUNCTION, answer.append)
    handle.setopt(pycurl.TIMEOUT_MS, 15_000)
