"""doctor: what it shows, what it finds, and that it changes nothing."""

from __future__ import annotations

import json
import os

import pytest

from app.core.redaction import MASK
from app.services import doctor
from app.services.doctor import Verdict


def findings(told):
    return {finding["about"]: (finding["verdict"], finding["words"]) for finding in json.loads(told.stdout)["findings"]}


@pytest.fixture
def examine(run):
    """Run it and return the findings by what they are about."""

    def look(**more):
        return findings(run("doctor", "--json", **more))

    return look


def test_on_a_bare_machine_it_finds_nothing_wrong_and_makes_nothing(run, settings):
    told = run("doctor")

    assert told.exit_code == 0, told.output
    assert "isn't there yet; the first start makes it." in told.stdout
    assert not settings.data_dir.exists()


def test_a_migrated_database_is_at_the_newest_schema(migrated, examine):
    verdict, words = examine()["schema"]

    assert verdict == Verdict.OK
    assert words.endswith("the newest.")


def test_secrets_are_masked(run):
    told = run(
        "doctor",
        POSTROOM_SECRET_KEY="canary-1",
        POSTROOM_ENCRYPTION_KEYS="canary-2,canary-3",
        POSTROOM_DATABASE_URL="postgresql://postroom:canary-4@127.0.0.1:1/none",
    )

    assert "canary" not in told.output
    assert MASK in told.output
    assert "@127.0.0.1:1/none" in told.stdout, "where the database is may be seen"
    assert told.exit_code == 1


def test_every_option_is_shown(run):
    options = json.loads(run("doctor", "--json", POSTROOM_ALLOW_NETWORKS="10.0.0.0/8,fd00::/8").stdout)["options"]

    assert options["POSTROOM_ALLOW_NETWORKS"] == "10.0.0.0/8, fd00::/8"
    assert options["POSTROOM_PORT"] == "8300"
    assert len(options) == len(doctor.dataclasses.fields(doctor_settings()))


def doctor_settings():
    from app.config import read_settings

    return read_settings({})[0]


@pytest.mark.parametrize(("name", "about"), [("", "data"), ("postroom.key", "postroom.key")])
def test_what_others_can_read_is_told_with_the_way_out(examine, settings, name, about):
    settings.data_dir.mkdir(mode=0o700, parents=True)
    (settings.data_dir / "postroom.key").touch(mode=0o600)
    path = settings.data_dir / name
    assert examine()[about][0] == Verdict.OK

    path.chmod(0o755)
    verdict, words = examine()[about]

    assert verdict == Verdict.WRONG
    assert f"chmod {'700' if not name else '600'} {path}" in words


def test_too_few_open_files_are_told(examine, monkeypatch):
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (256, 300))

    assert examine()["open files"][0] == Verdict.WRONG
    assert examine(POSTROOM_CONCURRENCY="20")["open files"][0] == Verdict.OK


def test_a_full_disk_is_told(examine, monkeypatch):
    usage = os.statvfs_result
    assert usage
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100 << 20})())

    assert examine()["disk"][0] == Verdict.WRONG
    assert examine(POSTROOM_DISK_RESERVE_MB="100")["disk"][0] == Verdict.OK


def test_an_unusable_ca_file_is_told(examine, tmp_path):
    file = tmp_path / "none.pem"
    assert examine()["certificate authorities"][0] == Verdict.OK
    assert examine(POSTROOM_CA_FILE=str(file))["certificate authorities"][0] == Verdict.WRONG

    file.write_text("nothing", encoding="utf-8")
    assert examine(POSTROOM_CA_FILE=str(file))["certificate authorities"][0] == Verdict.WRONG


def test_the_versions_are_told(examine):
    found = examine()

    assert found["SQLite"][0] == Verdict.OK
    assert "libcurl/" in found["libcurl"][1]


def test_an_old_sqlite_is_told(examine, monkeypatch):
    monkeypatch.setattr(doctor.sqlite3, "sqlite_version_info", (3, 34, 1))

    assert examine()["SQLite"][0] == Verdict.WRONG


@pytest.mark.parametrize(("kind", "verdict"), [("nfs4", Verdict.WRONG), ("ext4", Verdict.OK), ("cifs", Verdict.WRONG)])
def test_a_network_file_system_is_no_place_for_sqlite(run, settings, tmp_path, monkeypatch, kind, verdict):
    mounts = tmp_path / "mounts"
    point = str(settings.data_dir).replace("/data", "")
    mounts.write_text(
        f"proc /proc proc rw 0 0\nroot / ext4 rw 0 0\nserver:/x {point} {kind} rw 0 0\n", encoding="utf-8"
    )
    monkeypatch.setattr(doctor.file_system_of, "__defaults__", (mounts,))

    assert findings(run("doctor", "--json"))["file system"][0] == verdict


def test_a_mount_point_with_a_blank_is_read(tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path}/my\\040data nfs rw 0 0\n", encoding="utf-8")

    assert doctor.file_system_of(folder, mounts) == "nfs"
    assert doctor.file_system_of(tmp_path / "my", mounts) == "ext4"
    assert doctor.file_system_of(folder, tmp_path / "none") is None


def test_allowing_every_address_is_wrong(examine):
    assert examine(POSTROOM_ALLOW_NETWORKS="10.0.0.0/8").keys().isdisjoint({"POSTROOM_ALLOW_NETWORKS"})
    assert examine(POSTROOM_ALLOW_NETWORKS="0.0.0.0/0")["POSTROOM_ALLOW_NETWORKS"][0] == Verdict.WRONG


def test_an_unknown_option_is_wrong(examine):
    verdict, words = examine(POSTROOM_BASEURL="https://x.test")["options"]

    assert verdict == Verdict.WRONG
    assert "POSTROOM_BASE_URL" in words


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({}, Verdict.OK),
        ({"POSTROOM_HOST": "0.0.0.0"}, Verdict.NOTE),
        ({"POSTROOM_BASE_URL": "http://postroom.lan"}, Verdict.NOTE),
        ({"POSTROOM_BASE_URL": "https://postroom.example.com"}, Verdict.OK),
    ],
)
def test_the_address_people_use_is_looked_at(examine, options, verdict):
    assert examine(**options)["POSTROOM_BASE_URL"][0] == verdict


def test_a_database_that_is_not_there_is_told(run):
    told = run("doctor", "--json", POSTROOM_DATABASE_URL="postgresql://postroom@127.0.0.1:1/none")

    assert told.exit_code == 1
    assert findings(told)["database"][0] == Verdict.WRONG
