"""Log lines on standard error: a wide line an attempt, JSON for machines or text for people."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

logger = logging.getLogger("postroom")


class _Lines(logging.Formatter):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self._as_json = kind == "json"

    def format(self, record: logging.LogRecord) -> str:
        """Write one record as one line, controls escaped."""
        facts: dict[str, Any] = getattr(record, "facts", {})
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"at": at, "level": record.levelname.lower(), "what": record.getMessage(), **facts}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        if self._as_json:
            return orjson.dumps(line, default=str).decode()
        more = " ".join(f"{name}={_plain(value)}" for name, value in facts.items() if value is not None)
        text = f"{at} {record.getMessage()} {more}".rstrip()
        return f"{text}\n{line['trace']}" if "trace" in line else text


def _plain(value: object) -> str:
    text = str(value)
    return orjson.dumps(text).decode() if not text.isprintable() or " " in text else text


def set_up(kind: str) -> None:
    """Send Postroom's lines to standard error, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(kind))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a job that still runs is no news at every tick


def log(what: str, **facts: Any) -> None:
    """Write a line about something that happened."""
    logger.info(what, extra={"facts": facts})


def trouble(what: str, error: BaseException | None = None, **facts: Any) -> None:
    """Write a line about something that should not have happened."""
    logger.error(what, exc_info=error, extra={"facts": facts})
