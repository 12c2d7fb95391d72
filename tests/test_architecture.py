"""What may stand only where: the rules that import-linter can't see, read from the syntax trees."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import pytest
from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "app"
DATA_NAMES = frozenset(file.stem for folder in ("presets", "packs") for file in (APP / folder).glob("*.toml"))

Finding = tuple[int, str]

WALL_CLOCK = ("time.time", "time.time_ns", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today")
STOPWATCH = ("time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns")
ENVIRONMENT = ("os.environ", "os.environb", "os.getenv")
CHANCE = ("random", "secrets", "uuid", "os.urandom")
REQUEST = tuple(
    f"{package}.{name}"
    for package in ("flask", "flask.globals", "flask.helpers", "flask_login", "werkzeug.exceptions")
    for name in ("request", "session", "current_user", "abort", "flash", "url_for")
)
SQL_CONTROL = re.compile(
    r"\s*(BEGIN(\s+(IMMEDIATE|EXCLUSIVE|DEFERRED|TRANSACTION)\b.*|\s*;?\s*)|COMMIT\s*;?\s*|PRAGMA\s+\w+.*)",
    re.I | re.S,
)
SQL_ON_DELIVERIES = re.compile(r"\b(insert\s+into|update)\s+\"?(delivery|attempt)\b", re.I)
DELIVERY_ROWS = re.compile(
    r"\b(Delivery|Attempt)\b|\b(delivery|attempt)(_table)?\b(?!\.)|\b(deliveries|attempts)_table\b"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table in docs/architecture.md: what is found, and the files (or folders) where it may stand."""

    name: str
    find: Callable[[ast.Module], Iterator[Finding]]
    home: tuple[str, ...]

    def offences(self, path: str, source: str) -> list[str]:
        """Return `path:line: what` for all that stands in `path`, relative to app/, and may not."""
        if path.startswith(self.home):
            return []
        return self.seen(path, source)

    def seen(self, path: str, source: str) -> list[str]:
        """Return the same without asking whether it may stand there."""
        return [f"app/{path}:{line}: {what}" for line, what in sorted(set(self.find(ast.parse(source))))]


def imported(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for: `m` after `from time import monotonic as m` is time.monotonic."""
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                origins[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            origins.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return origins


def origin_of(node: ast.AST, origins: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return origins.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := origin_of(node.value, origins)):
        return f"{owner}.{node.attr}"
    return None


def uses(tree: ast.Module, *, of: tuple[str, ...]) -> Iterator[Finding]:
    """Find every import and use of the names `of` and of what lies in them."""
    origins = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            found = [name] if (name := origin_of(node, origins)) else []
        yield from ((node.lineno, name) for name in found if f"{name}.".startswith(tuple(f"{item}." for item in of)))


def strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Give every string that is no docstring."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node


def transactions(tree: ast.Module) -> Iterator[Finding]:
    """Find `.commit()`, BEGIN, COMMIT and PRAGMA."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield node.lineno, ".commit()"
    yield from ((text.lineno, text.value) for text in strings(tree) if SQL_CONTROL.fullmatch(text.value))


def delivery_writes(tree: ast.Module) -> Iterator[Finding]:
    """Find inserts and updates of deliveries and attempts: as statements, as SQL, as rows, as changed attributes."""
    origins = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            into = node.args[0] if node.args else getattr(node.func, "value", node)
            is_statement = re.search(r"(^|_)(insert|update)$", name) and (node.args or "table" in ast.unparse(into))
            if is_statement and not isinstance(into, ast.Dict) and DELIVERY_ROWS.search(ast.unparse(into)):
                yield node.lineno, ast.unparse(node)
            made = origin_of(node.func, origins) or ""
            if made.startswith("app.models") and made.endswith((".Delivery", ".Attempt")):
                yield node.lineno, ast.unparse(node.func)
        yield from ((node.lineno, ast.unparse(node)) for _ in attributes_set(node, {"delivery", "attempt"}))
    yield from ((text.lineno, text.value) for text in strings(tree) if SQL_ON_DELIVERIES.search(text.value))


def attributes_set(node: ast.AST, owners: set[str]) -> Iterator[str]:
    """Give the names of the attributes that an assignment sets on one of the names `owners`."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in (part for whole in targets for part in getattr(whole, "elts", [whole])):
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id in owners:
            yield target.attr


def switches(tree: ast.Module) -> Iterator[Finding]:
    """Find where a webhook is turned on or off."""
    for node in ast.walk(tree):
        if "enabled" in attributes_set(node, {"webhook", "self"}):
            yield node.lineno, ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
            yield from ((node.lineno, ".values(enabled=…)") for keyword in node.keywords if keyword.arg == "enabled")


def compared_names(tree: ast.Module, *, names: frozenset[str]) -> Iterator[Finding]:
    """Find comparisons, matches and prefix tests with one of `names`."""
    for node in ast.walk(tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            asked = [node.value]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"startswith", "endswith", "__eq__"}:
            asked = node.args
        for constant in (leaf for expression in asked for leaf in literals(expression)):
            if constant.value in names:
                yield constant.lineno, f"compares with {constant.value!r}"


def literals(node: ast.expr) -> Iterator[ast.Constant]:
    """Give the constants of a literal, also those inside (…), […], {…} and frozenset(…)."""
    if isinstance(node, ast.Constant):
        yield node
    inner: list[ast.expr] = []
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        inner = node.elts
    elif isinstance(node, ast.Dict):
        inner = [key for key in node.keys if key]
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"set", "frozenset", "tuple", "list"}:
        inner = node.args
    for child in inner:
        yield from literals(child)


def template_offences(path: str, source: str, names: frozenset[str]) -> list[str]:
    """Return the same for a template."""
    tree = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]).parse(source)
    return [
        f"templates/{path}:{constant.lineno}: compares with {constant.value!r}"
        for comparison in tree.find_all(nodes.Compare)
        for constant in comparison.find_all(nodes.Const)
        if constant.value in names
    ]


RULES = {
    rule.name: rule
    for rule in (
        Rule("transactions", transactions, ("database.py", "migrations/env.py")),
        Rule("deliveries and attempts", delivery_writes, ("delivery/queue/",)),
        Rule(
            "turning webhooks on and off",
            switches,
            ("delivery/health.py", "services/webhooks.py", "models/webhooks.py"),
        ),
        Rule("wall clock", partial(uses, of=WALL_CLOCK), ("clock.py",)),
        Rule(
            "stopwatch",
            partial(uses, of=STOPWATCH),
            (
                *(f"delivery/{name}.py" for name in ("engine", "sender", "transfer", "resolver")),
                *(f"delivery/{name}.py" for name in ("wire", "wire_main", "wire_process")),
                "disk.py",
                "services/inside.py",
                "services/system.py",
                "scheduler.py",
                "cli/serve.py",
            ),
        ),
        Rule("environment", partial(uses, of=ENVIRONMENT), ("config.py", "cli/serve.py")),
        Rule("the request", partial(uses, of=REQUEST), ("web/", "api/")),
        Rule("current_app", partial(uses, of=("flask.current_app", "flask.globals.current_app")), ("web/__init__.py",)),
        Rule(
            "chance",
            partial(uses, of=CHANCE),
            ("client.py", "crypto.py", "ids.py", "delivery/engine.py", "delivery/queue/claiming.py", "cli/demo/"),
        ),
        Rule("names of presets and packs", partial(compared_names, names=DATA_NAMES), ()),
    )
}


@pytest.mark.parametrize("name", RULES)
def test_nothing_stands_where_it_may_not(name):
    rule = RULES[name]

    found = [
        offence
        for file in sorted(APP.rglob("*.py"))
        for offence in rule.offences(file.relative_to(APP).as_posix(), file.read_text(encoding="utf-8"))
    ]

    assert not found, f"{name}: only in {', '.join(rule.home) or 'no file'}\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("transactions", "database.py"),
        ("deliveries and attempts", "delivery/queue/by_hand.py"),
        ("turning webhooks on and off", "models/webhooks.py"),
        ("wall clock", "clock.py"),
        ("stopwatch", "delivery/engine.py"),
        ("environment", "config.py"),
        ("the request", "web/__init__.py"),
        ("chance", "ids.py"),
    ],
)
def test_a_rule_recognises_what_it_is_about_in_the_file_that_may(name, home):
    source = (APP / home).read_text(encoding="utf-8")

    assert RULES[name].seen(home, source), f"the rule is blind: app/{home} must contain what it looks for"


@pytest.mark.parametrize(
    ("name", "path", "source"),
    [
        ("transactions", "services/a.py", "session.commit()"),
        ("transactions", "services/a.py", "connection.exec_driver_sql('BEGIN IMMEDIATE')"),
        ("transactions", "cli/a.py", "connection.execute('begin')"),
        ("transactions", "cli/a.py", "connection.execute(f'PRAGMA user_version={n}')"),
        ("transactions", "migrations/versions/a.py", "op.execute('PRAGMA foreign_keys=OFF')"),
        ("deliveries and attempts", "services/a.py", "session.execute(update(Delivery).values(state='failed'))"),
        ("deliveries and attempts", "services/a.py", "pg_insert(models.Attempt.__table__)"),
        ("deliveries and attempts", "delivery/a.py", "sqlite.insert(delivery_table)"),
        ("deliveries and attempts", "services/a.py", "Delivery.__table__.insert()"),
        ("deliveries and attempts", "services/a.py", "text('UPDATE delivery SET state = 1')"),
        ("deliveries and attempts", "services/a.py", "text('with x as (select 1) insert into attempt values (1)')"),
        (
            "deliveries and attempts",
            "services/a.py",
            "from app.models import Delivery as D\nsession.add(D(id=1))",
        ),
        ("deliveries and attempts", "web/a.py", "delivery.state = DeliveryState.FAILED"),
        ("turning webhooks on and off", "api/a.py", "webhook.enabled = True"),
        ("turning webhooks on and off", "web/a.py", "webhook.enabled, webhook.off_reason = True, None"),
        ("turning webhooks on and off", "services/a.py", "session.execute(update(Webhook).values(enabled=False))"),
        ("wall clock", "core/a.py", "import time\nx = time.time()"),
        ("wall clock", "core/a.py", "from time import time_ns as t"),
        ("wall clock", "web/a.py", "import datetime as dt\nx = dt.datetime.now(dt.UTC)"),
        ("wall clock", "web/a.py", "from datetime import datetime, UTC\nwhen = datetime.now(UTC)"),
        ("wall clock", "web/a.py", "from datetime import date\nread = date.today"),
        ("stopwatch", "delivery/queue/claiming.py", "from time import monotonic"),
        ("stopwatch", "services/a.py", "import time\nx = time.perf_counter()"),
        ("environment", "mail.py", "import os\nhost = os.environ['SMTP']"),
        ("environment", "faults.py", "from os import getenv"),
        ("the request", "services/a.py", "from flask import request"),
        ("the request", "delivery/a.py", "import flask\nflask.abort(404)"),
        ("the request", "models/a.py", "from flask_login import current_user"),
        ("the request", "__init__.py", "from flask import Flask, url_for"),
        ("current_app", "web/a.py", "from flask import current_app"),
        ("current_app", "database.py", "import flask\nx = flask.current_app.config"),
        ("chance", "core/retry.py", "import random"),
        ("chance", "web/a.py", "from secrets import token_urlsafe"),
        ("chance", "services/a.py", "import os\nx = os.urandom(8)"),
    ],
)
def test_a_rule_finds_what_is_planted(name, path, source):
    assert RULES[name].offences(path, source)


@pytest.mark.parametrize(
    ("name", "path", "source"),
    [
        ("transactions", "database.py", "session.commit()"),
        ("transactions", "services/a.py", "'''BEGIN'''\nsay('Begin with a name.', 'Commit nothing.')"),
        ("deliveries and attempts", "delivery/queue/entering.py", "insert(Delivery)"),
        (
            "deliveries and attempts",
            "services/a.py",
            "update(Webhook).where(Webhook.id == delivery.webhook_id)",
        ),
        ("deliveries and attempts", "api/a.py", "shown = {}\nshown.update(attempt.headers)\nattempt = found.attempt"),
        ("turning webhooks on and off", "api/a.py", "draft.enabled = webhook.enabled"),
        ("wall clock", "web/a.py", "from datetime import datetime, UTC\ndatetime.fromtimestamp(moment / 1000, UTC)"),
        ("wall clock", "services/a.py", "from app import clock\nclock.now()"),
        ("stopwatch", "delivery/sender.py", "import time\ntime.monotonic()"),
        ("environment", "faults.py", "import os\nos.kill(os.getpid(), 9)"),
        ("the request", "web/a.py", "from flask import request, url_for"),
        ("the request", "__init__.py", "from flask import Flask"),
        ("the request", "services/a.py", "def send(request):\n    return request.url"),
        ("chance", "services/a.py", "import random_names"),
    ],
)
def test_a_rule_lets_pass_what_is_allowed(name, path, source):
    assert RULES[name].offences(path, source) == []


NAMES = frozenset({"vomo", "jobs"})


@pytest.mark.parametrize(
    "source",
    [
        "if preset.name == 'vomo': pass",
        "special = 'jobs' != webhook.preset",
        "found = name in ('standard', 'vomo')",
        "found = name in frozenset({'vomo'})",
        "found = name in {'vomo': send}",
        "match name:\n    case 'x' | 'vomo': pass",
        "found = name.startswith('jobs')",
    ],
)
def test_a_comparison_with_a_presets_name_is_found(source):
    assert list(compared_names(ast.parse(source), names=NAMES))


@pytest.mark.parametrize("source", ["preset = presets['vomo']", "choose(preset='jobs')", "if kind == 'job': pass"])
def test_a_presets_name_may_be_said_without_comparing(source):
    assert not list(compared_names(ast.parse(source), names=NAMES))


def test_no_template_compares_with_a_presets_or_packs_name():
    assert template_offences("planted", "{% if webhook.preset in ['vomo'] %}{% endif %}", NAMES)
    assert template_offences("planted", "{{ 'a' if preset.name == 'jobs' }}", NAMES)
    assert not template_offences("planted", "{{ icon('jobs') if preset.name }}", NAMES)
    templates = ROOT / "templates"

    found = [
        offence
        for file in sorted(templates.rglob("*.html"))
        for offence in template_offences(str(file.relative_to(templates)), file.read_text(encoding="utf-8"), DATA_NAMES)
    ]

    assert not found, "\n".join(found)


def test_the_names_of_presets_and_packs_are_known():
    presets = {"standard", "contracts", "jobs", "vomo", "integrations", "reporting", "github", "stripe", "cloudevents"}

    assert presets <= DATA_NAMES
