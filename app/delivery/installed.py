"""What this installation has: its options, presets, signature schemes and event packs. Loaded once, never changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.config import Settings
    from app.core.addresses import Allowed
    from app.core.packs import EventPack
    from app.core.presets import Preset
    from app.core.schemes import Scheme
    from app.core.urls import Url

_INBOX = re.compile(r"/in/[A-Za-z0-9_-]{1,64}(\?.*)?")


@dataclass(frozen=True, slots=True)
class Installed:
    """The unchanging surroundings of every delivery."""

    settings: Settings
    base: Url | None
    presets: Mapping[str, Preset]
    schemes: Mapping[str, Scheme]
    packs: Mapping[str, EventPack]
    allowed: Allowed
    preset_files: tuple[tuple[str, bytes], ...]
    """The presets as they were read, for a process that has to read them again."""

    def is_own_inbox(self, url: Url) -> bool:
        """Whether `url` is one of this server's own test inboxes, compared by parts."""
        if self.base is None or url.origin != self.base.origin:
            return False
        at = self.base.path.rstrip("/")
        # The whole path: behind a proxy that takes dots out, /in/../x would be another page of this server.
        return url.path.startswith(at) and _INBOX.fullmatch(url.path[len(at) :]) is not None


_installed: Installed | None = None


def use(found: Installed) -> None:
    """Make `found` what this process works with."""
    global _installed
    _installed = found


def installed() -> Installed:
    """Return what this process works with."""
    if _installed is None:
        raise RuntimeError("create_app has not been called")
    return _installed
