"""API keys: made, found, revoked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event, select, update

from app import crypto
from app.core.access import EVERYTHING, Permission, Scope, View
from app.database import read, write
from app.errors import Invalid, NotFound, Refused
from app.extensions import db
from app.models import ApiKey, AuditEntry
from app.services import api_keys

HOUR_MS = 3_600_000


@pytest.fixture
def made(owner, clock):
    """A key that publishes."""
    return api_keys.create(owner, "Shop", ["events:write"])


@pytest.fixture
def statements(app):
    """The SQL that ran."""
    ran = []

    def seen(connection, cursor, statement, *_):
        ran.append(statement)

    for engine in db.engines.values():
        event.listen(engine, "before_cursor_execute", seen)
    yield ran
    for engine in db.engines.values():
        event.remove(engine, "before_cursor_execute", seen)


def change(made, **values):
    """Change a key's row as another process would: nothing in this one is told."""
    with write() as session:
        session.execute(update(ApiKey).where(ApiKey.public_id == made.view.id).values(**values))


def stored(made, column):
    with read() as session:
        return session.scalar(select(column).where(ApiKey.public_id == made.view.id))


class TestMaking:
    def test_a_key_is_shown_once_and_only_its_digest_is_kept(self, made, owner):
        assert made.key.startswith(f"prk_{made.view.id}")
        assert made.view.last_four == made.key[-4:]
        assert bytes(stored(made, ApiKey.digest)) == crypto.digest(made.key)
        assert made.key not in repr(api_keys.list_all(owner))

    def test_making_and_revoking_are_on_record(self, made, owner):
        api_keys.revoke(owner, made.view.id)
        api_keys.revoke(owner, made.view.id)

        with read() as session:
            entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
            assert [entry.action for entry in entries] == ["api_key.created", "api_key.revoked"]
            assert made.key not in str([entry.changes for entry in entries])

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"name": " "}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["events:write", "everything"]}, "scopes"),
            ({"expires_at": 1_795_251_600_000}, "expires_at"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, owner, clock, given, field):
        with pytest.raises(Invalid) as refused:
            api_keys.create(owner, **{"name": "Shop", "scopes": ["admin"], **given})

        assert [problem.field for problem in refused.value.problems] == [field]

    def test_a_key_may_not_do_more_than_its_maker(self, owner):
        narrow = replace(owner, permissions=frozenset({Permission.KEYS, Permission.CATALOGUE}))

        api_keys.create(narrow, "Publisher", ["events:write"])
        with pytest.raises(Invalid, match="can't be used") as refused:
            api_keys.create(narrow, "Boss", ["admin"])

        assert refused.value.problems[0].message == "A key may not do more than you may."

    def test_who_does_not_see_everything_makes_no_key_that_would(self, owner):
        with pytest.raises(Refused, match="sees every event"):
            api_keys.create(replace(owner, view=View("ada@acme.test", sees_everything=False)), "Shop", ["events:write"])

    def test_only_who_may_manages_keys(self, made, member, stranger):
        with pytest.raises(Refused):
            api_keys.create(member, "Shop", ["events:write"])
        with pytest.raises(Refused):
            api_keys.list_all(member)
        with pytest.raises(Refused):
            api_keys.revoke(member, made.view.id)
        with pytest.raises(NotFound):
            api_keys.revoke(stranger, made.view.id)
        assert api_keys.list_all(stranger) == []

    def test_revoked_keys_are_listed_last(self, made, owner):
        second = api_keys.create(owner, "Second", ["admin"])
        api_keys.revoke(owner, second.view.id)

        assert [view.name for view in api_keys.list_all(owner)] == ["Shop", "Second"]


class TestFinding:
    def test_the_key_finds_its_holder(self, made, owner, clock):
        holder = api_keys.find(made.key, clock.now)

        assert (holder.name, holder.organization_id) == ("Shop", owner.organization_id)
        assert holder.may(Scope.EVENTS_WRITE)
        assert not holder.may(Scope.WEBHOOKS_READ)

    def test_admin_has_every_scope_but_the_servers(self, owner, clock):
        holder = api_keys.find(api_keys.create(owner, "All", ["admin"]).key, clock.now)

        assert {scope for scope in Scope if not holder.may(scope)} == {Scope.OPERATOR}

    def test_the_holder_acts_as_a_key(self, made, clock):
        holder = api_keys.find(made.key, clock.now)

        actor = holder.actor("198.51.100.7")

        assert (actor.api_key_id, actor.public_id, actor.name) == (holder.row_id, made.view.id, "API key Shop")
        assert actor.view == EVERYTHING
        assert actor.permissions == frozenset({Permission.CATALOGUE})

    @pytest.mark.parametrize("warm", [False, True])
    def test_no_other_text_finds_it(self, made, clock, warm):
        if warm:
            api_keys.find(made.key, clock.now)
        swapped = made.key[:-1] + ("A" if made.key[-1] != "A" else "B")
        texts = [
            swapped,
            made.key[:-1],
            made.key + "A",
            made.key.upper(),
            made.key[4:],
            " " + made.key,
            made.key + "\n",
            "",
        ]

        assert [api_keys.find(text, clock.now) for text in texts] == [None] * len(texts)

    def test_a_key_nobody_has_is_looked_for_by_its_id_only(self, made, clock):
        assert api_keys.find("prk_00000000" + "x" * 43, clock.now) is None
        assert api_keys.find("prk_" + "\x00" * 8 + "x" * 43, clock.now) is None

    def test_within_a_second_the_database_is_not_asked_again(self, made, clock, statements):
        api_keys.find(made.key, clock.now)
        statements.clear()

        clock.advance(ms=999)
        assert api_keys.find(made.key, clock.now)

        assert statements == []

    def test_it_expires_to_the_millisecond(self, owner, clock):
        made = api_keys.create(owner, "Short", ["admin"], clock.now + HOUR_MS)

        clock.advance(ms=HOUR_MS - 1)
        assert api_keys.find(made.key, clock.now)
        clock.advance(ms=1)
        assert api_keys.find(made.key, clock.now) is None


class TestRevoking:
    def test_it_stops_at_once_here(self, made, owner, clock):
        assert api_keys.find(made.key, clock.now)

        assert api_keys.revoke(owner, made.view.id).revoked_at == clock.now

        assert api_keys.find(made.key, clock.now) is None

    def test_it_stops_within_a_second_elsewhere(self, made, clock):
        api_keys.find(made.key, clock.now)
        change(made, revoked_at=clock.now)

        clock.advance(ms=1000)

        assert api_keys.find(made.key, clock.now) is None

    def test_a_clock_that_was_set_back_does_not_keep_it_alive(self, made, clock):
        api_keys.find(made.key, clock.now)
        change(made, revoked_at=clock.now)

        clock.advance(seconds=-3600)

        assert api_keys.find(made.key, clock.now) is None

    def test_what_was_read_before_the_revocation_is_not_kept_after_it(self, made, owner, clock, monkeypatch):
        read_holder = api_keys._read_holder

        def read_slowly(public_id):
            holder = read_holder(public_id)
            api_keys.revoke(owner, made.view.id)  # meanwhile, in another thread
            return holder

        monkeypatch.setattr(api_keys, "_read_holder", read_slowly)
        api_keys.find(made.key, clock.now)
        monkeypatch.undo()

        assert api_keys.find(made.key, clock.now) is None


class TestLastUse:
    def test_it_is_noted_once_a_minute(self, made, clock, statements):
        first = clock.now
        api_keys.find(made.key, clock.now)
        assert stored(made, ApiKey.last_used_at) == first

        clock.advance(seconds=59, ms=999)
        api_keys.find(made.key, clock.now)
        assert stored(made, ApiKey.last_used_at) == first

        clock.advance(ms=1)
        api_keys.find(made.key, clock.now)
        assert stored(made, ApiKey.last_used_at) == first + 60_000

    def test_a_wrong_key_is_no_use(self, made, clock):
        api_keys.find(made.key[:-1] + ("A" if made.key[-1] != "A" else "B"), clock.now)

        assert stored(made, ApiKey.last_used_at) is None
