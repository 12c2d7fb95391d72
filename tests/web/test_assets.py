"""What browsers load stays small, safe under the policy, and complete."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from app.web import filters

ROOT = Path(__file__).resolve().parents[2]
STATIC, TEMPLATES = ROOT / "static", ROOT / "templates"
PAGES = sorted(TEMPLATES.rglob("*.html"))
MACROS = sorted((TEMPLATES / "_ui").glob("*.html"))


def gzipped(*names: str) -> int:
    return sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in names)


def test_the_scripts_stay_within_their_budget():
    assert (STATIC / "app.js").stat().st_size <= 13 * 1024  # with its comments; what travels is below
    assert gzipped("app.js", "vendor/htmx.min.js", "vendor/hx-csp.min.js") <= 22_000


def test_the_stylesheet_stays_within_its_budget():
    assert gzipped("app.css") <= 12_000


def test_vendored_files_are_the_ones_that_were_checked():
    lines = (STATIC / "vendor" / "SHA256SUMS").read_text().splitlines()

    assert {line.split()[1] for line in lines} == {"htmx.min.js", "hx-csp.min.js", "LICENSE"}
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest


def test_no_colour_stands_outside_the_tokens():
    css = (STATIC / "app.css").read_text()
    tokens = css[css.index("@layer tokens {") : css.index("@layer base {")]

    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgb\(", css.replace(tokens, ""))
    assert "!important" not in css


def test_every_icon_that_is_drawn_is_in_the_sprite():
    sprite = set(re.findall(r'<symbol id="([a-z]+)"', (STATIC / "icons.svg").read_text()))
    drawn = {
        name
        for page in PAGES
        for name in re.findall(r'(?:draw|icon)\("([a-z]+)"\)|icon="([a-z]+)"', page.read_text())
        for name in name
        if name
    }

    assert drawn
    assert drawn <= sprite


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATES)))
def test_templates_hold_nothing_that_the_policy_forbids(page):
    html = page.read_text()

    assert not re.search(r"\sstyle=|\son[a-z]+=|hx-on|js:|hx-boost|hx-push-url", html)
    for script in re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL):
        assert script == ""
    for tag in re.findall(r"<script[^>]*>", html):
        assert 'nonce="{{ csp_nonce() }}"' in tag


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATES)))
def test_elements_with_htmx_attributes_carry_their_nonce(page):
    html = re.sub(r"\{#.*?#\}", "", page.read_text(), flags=re.DOTALL)

    for tag in re.findall(r"<\w+[^>]*\shx-(?:get|post|put|delete)[^>]*>", html):
        assert "hx-nonce" in tag, tag


@pytest.mark.parametrize("page", MACROS, ids=lambda page: page.stem)
def test_macros_say_what_they_are_for(page):
    assert page.read_text().startswith("{#- ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATES)))
def test_templates_compile(page):
    env = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    filters.register(env, zone=lambda: "UTC", now=lambda: 0)

    env.get_template(str(page.relative_to(TEMPLATES)))
