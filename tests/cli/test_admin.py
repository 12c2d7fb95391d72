"""init, create-admin, create-api-key, reset-password, migrate."""

from __future__ import annotations

import json
import stat

import pyotp
import pytest

from app.core.access import Scope
from app.services import api_keys, event_types, organizations, sign_in, two_factor
from app.services.sign_in import WrongPasswordError
from tests.conftest import PASSWORD, START_AT

INIT = ("init", "--organization", "Acme", "--admin-email", "ada@acme.test", "--json", "--admin-password-file")


@pytest.fixture
def acme(migrated, run, password_file):
    """An installation with an organization and its admin; what `init` answered."""
    done = run(*INIT, password_file)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


class TestInit:
    def test_on_a_bare_machine_it_answers_exactly_what_is_promised(self, run_process, settings, password_file):
        done = run_process(*INIT, password_file)

        answer = json.loads(done.stdout)
        assert (done.returncode, done.stderr) == (0, "")
        assert list(answer) == ["organization", "admin", "api_key"]
        assert [value[:4] for value in answer.values()] == ["org_", "usr_", "prk_"]
        assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE((settings.data_dir / "postroom.key").stat().st_mode) == 0o600

    def test_the_admin_can_sign_in_and_the_key_may_all(self, acme, app, clock):
        user = sign_in.sign_in("ada@acme.test", PASSWORD, None)
        holder = api_keys.find(acme["api_key"], START_AT)

        assert user.public_id == acme["admin"]
        assert user.is_operator
        assert holder.scopes == frozenset(Scope)

    def test_a_second_time_is_refused_in_words(self, acme, run, password_file):
        refused = run(*INIT, password_file)

        assert refused.exit_code == 1
        assert refused.stdout == ""
        assert refused.stderr.startswith("Postroom is set up already.")

    def test_what_is_wrong_is_told_line_by_line(self, migrated, run):
        refused = run(
            "init", "--organization", " ", "--admin-email", "x", "--admin-password-file", "-", input="short\n"
        )

        assert refused.exit_code == 1
        assert len(refused.stderr.splitlines()) == 3
        assert "Use at least 12 characters." in refused.stderr

    def test_the_password_can_come_by_standard_input(self, migrated, run, app):
        assert run(*INIT, "-", input=PASSWORD + "\n").exit_code == 0

        assert sign_in.sign_in("ada@acme.test", PASSWORD, None).email == "ada@acme.test"

    def test_without_a_terminal_the_password_is_not_asked_for(self, migrated, run):
        refused = run("init", "--organization", "Acme", "--admin-email", "ada@acme.test")

        assert refused.exit_code == 2
        assert "standard input" in refused.stderr

    def test_for_people_it_says_so_in_words(self, migrated, run, password_file):
        told = run(
            "init", "--organization", "Acme", "--admin-email", "ada@acme.test", "--admin-password-file", password_file
        )

        assert told.exit_code == 0
        assert "API key, shown this once: prk_" in told.stdout
        assert PASSWORD not in told.output

    def test_another_encryption_key_is_refused(self, acme, run, settings, password_file):
        (settings.data_dir / "postroom.key").unlink()

        refused = run("create-admin", "--email", "max@acme.test", "--password-file", password_file)

        assert refused.exit_code == 1
        assert "Put back the key file" in refused.stderr


class TestOtherCommands:
    def test_another_admin_can_sign_in(self, acme, run, password_file, app):
        made = run("create-admin", "--email", "max@acme.test", "--password-file", password_file, "--json")

        answer = json.loads(made.stdout)
        assert answer["organization"] == acme["organization"]
        assert sign_in.sign_in("max@acme.test", PASSWORD, None).public_id == answer["admin"]

    def test_before_init_there_is_nothing_to_be_an_admin_of(self, migrated, run, password_file):
        refused = run("create-admin", "--email", "max@acme.test", "--password-file", password_file)

        assert refused.exit_code == 1
        assert "postroom init" in refused.stderr

    def test_a_key_has_the_scopes_given(self, acme, run, app, clock):
        made = run("create-api-key", "--name", "Shop", "--scope", "events:write", "--scope", "events:read", "--json")

        answer = json.loads(made.stdout)
        assert api_keys.find(answer["api_key"], START_AT).scopes == {Scope.EVENTS_WRITE, Scope.EVENTS_READ}
        assert answer["scopes"] == ["events:write", "events:read"]

    def test_an_unknown_scope_is_refused_with_the_known_ones(self, acme, run):
        refused = run("create-api-key", "--name", "Shop", "--scope", "events:publish")

        assert refused.exit_code == 1
        assert "events:publish is not a scope" in refused.stderr
        assert "events:write" in refused.stderr

    def test_a_key_expires_when_told_to(self, acme, run, app, clock, monkeypatch):
        made = run("create-api-key", "--name", "Shop", "--scope", "admin", "--expires-days", "2", "--json")
        key = json.loads(made.stdout)["api_key"]

        assert api_keys.find(key, clock.now)
        clock.advance(seconds=2 * 86_400)
        assert api_keys.find(key, clock.now) is None

    def test_a_new_password_replaces_the_old_one(self, acme, run, app):
        told = run("reset-password", "--email", "ada@acme.test", "--password-file", "-", input="nine purple otters")

        assert told.exit_code == 0
        assert sign_in.sign_in("ada@acme.test", "nine purple otters", None)
        with pytest.raises(WrongPasswordError):
            sign_in.sign_in("ada@acme.test", PASSWORD, None)

    def test_codes_at_sign_in_stay_unless_told(self, acme, run, app, clock):
        offer = two_factor.offer(acme["admin"], "Postroom")
        code = pyotp.TOTP(offer.key.replace(" ", "")).at(clock.now // 1000)
        two_factor.turn_on(acme["admin"], offer.sealed, code)
        asked = ("reset-password", "--email", "ada@acme.test", "--password-file", "-")

        told = run(*asked, input="nine purple otters")
        assert "Signing in still asks for a code. --without-codes turns that off." in told.stdout
        told = run(*asked, "--without-codes", input="nine purple otters")

        assert "code" not in told.stdout
        assert sign_in.sign_in("ada@acme.test", "nine purple otters", None)

    def test_nobodys_password_is_not_reset(self, acme, run, password_file):
        refused = run("reset-password", "--email", "max@acme.test", "--password-file", password_file)

        assert (refused.exit_code, refused.stderr) == (1, "Nobody here has the e-mail max@acme.test.\n")

    def test_migrating_says_what_it_did(self, run):
        first, second = run("migrate"), run("migrate")

        assert (first.exit_code, second.exit_code) == (0, 0)
        assert first.stdout.endswith(" now.\n")
        assert second.stdout.endswith(" already.\n")


class TestInstallPack:
    def test_its_types_are_in_the_catalogue_and_a_second_time_adds_nothing(self, acme, run, app):
        first, again = run("install-pack", "contracts"), run("install-pack", "contracts", "--json")

        assert first.stdout == "The event pack contracts is installed: 3 event types were added.\n"
        assert json.loads(again.stdout) == {"name": "contracts", "added": 0}
        known = event_types.list_all(organizations.system_of("Acme"))
        assert [kind.name for kind in known] == ["contractCreated", "contractSigned", "contractReminder"]

    def test_an_own_pack_of_the_data_directory_is_installed_likewise(self, acme, run, settings):
        folder = settings.data_dir / "packs"
        folder.mkdir()
        (folder / "parking.toml").write_text(
            'title = "Parking"\n[[kind]]\nname = "car"\ntitle = "Cars"\n'
            '[[type]]\nname = "car.parked"\nkind = "car"\ntitle = "Parked"\n'
            'description = "A car has come."\nexample = \'{"id": 1}\'\n',
            encoding="utf-8",
        )

        assert run("install-pack", "parking").stdout == "The event pack parking is installed: 1 event type was added.\n"

    def test_a_pack_that_is_not_there_is_refused_in_words(self, acme, run):
        refused = run("install-pack", "carrots")

        assert (refused.exit_code, refused.stderr) == (1, "There is no event pack carrots.\n")
