"""Time-based one-time codes (RFC 6238): six digits, thirty seconds, one step early or late allowed."""

from __future__ import annotations

import hmac

import pyotp

STEP_MS = 30_000
DIGITS = 6


def matching_step(secret: str, code: str, now: int, used: int | None) -> int | None:
    """Return the time step that this code is of; None when it fits none, or only one not after `used`.

    `now` is in milliseconds since 1970 UTC. The caller keeps the step as `used`: then no code works twice.

    >>> matching_step("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "287 082", 59_000, None)
    1
    """
    digits = "".join(code.split())
    if len(digits) != DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    present, machine = now // STEP_MS, pyotp.TOTP(secret)
    for step in (present - 1, present, present + 1):
        fits = hmac.compare_digest(machine.generate_otp(max(step, 0)), digits)
        if fits and (used is None or step > used):
            return step
    return None


def address_of(secret: str, email: str, issuer: str) -> str:
    """Return the otpauth:// address that an authenticator app takes, by a link or as a picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def grouped(secret: str) -> str:
    """Return the secret in groups of four, to be typed."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
