"""One-time codes, by the vectors of RFC 6238."""

from __future__ import annotations

import base64

import pytest

from app.core import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238, appendix B, SHA-1: seconds and the last six of its eight digits.
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_codes_of_the_standard_fit_at_their_time_and_one_step_beside_it(seconds, code):
    step = seconds // 30

    fits = [totp.matching_step(SECRET, code, (seconds + 30 * beside) * 1000, None) for beside in (-2, -1, 0, 1, 2)]

    assert fits == [None, step, step, step, None]


def test_a_step_that_was_used_fits_no_more_nor_does_one_before_it():
    assert totp.matching_step(SECRET, "287082", 59_000, 0) == 1
    assert totp.matching_step(SECRET, "287082", 59_000, 1) is None
    assert totp.matching_step(SECRET, "287082", 59_000, 2) is None


@pytest.mark.parametrize("code", ["", "28708", "2870822", "28708x", "٢٨٧٠٨٢", "287082;"])
def test_what_is_no_code_fits_nothing(code):
    assert totp.matching_step(SECRET, code, 59_000, None) is None


def test_blanks_in_a_code_are_how_apps_show_it():
    assert totp.matching_step(SECRET, " 287 082 ", 59_000, None) == 1
