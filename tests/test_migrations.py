"""The schema: one line of versions, equal to the models on both databases, and nothing lost on the way."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, inspect, text

from app import schema
from app.database import StorageBroken
from app.extensions import Base, db
from app.models import Delivery
from app.schema import _alembic_config
from tests.support import rows


def test_there_is_one_head(settings):
    assert len(ScriptDirectory.from_config(_alembic_config(settings)).get_heads()) == 1


def test_the_migrated_schema_is_that_of_the_models(app):
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)

        assert compare_metadata(context, Base.metadata) == []


def test_every_check_of_the_models_is_in_the_database(app):
    found = inspect(db.engine)
    for table in Base.metadata.sorted_tables:
        wanted = {
            str(each.name) for each in table.constraints if type(each).__name__ == "CheckConstraint" and each.name
        }
        there = {str(check["name"]) for check in found.get_check_constraints(table.name)}
        assert wanted <= there, table.name


def test_partial_indexes_are_partial(app):
    found = {index["name"]: index for index in inspect(db.engine).get_indexes("delivery")}
    for name in ("waiting", "leased", "by_hand", "suspect", "trouble"):
        options = found[f"ix_delivery_{name}"]["dialect_options"]
        where = options.get("sqlite_where", options.get("postgresql_where"))
        assert "state" in str(where), name


def test_rebuilding_a_table_keeps_the_rows_that_point_to_it(publish, make_webhook, app, database):
    if not database.database.startswith("sqlite"):
        pytest.skip("left out: only SQLite rebuilds tables")
    make_webhook(url="http://127.0.0.1:9001/")
    publish()
    db.session.remove()
    for engine in db.engines.values():
        engine.dispose()
    engine = create_engine(database.database, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("PRAGMA foreign_keys=OFF"))
        connection.commit()
        with connection.begin():
            operations = Operations(MigrationContext.configure(connection))
            with operations.batch_alter_table("webhook", recreate="always"):
                pass
            broken = connection.execute(text("PRAGMA foreign_key_check")).all()

    assert broken == []
    assert len(rows.all_of(Delivery)) == 1


def test_migrating_again_changes_nothing(database):
    before = schema.version(database)

    schema.migrate(database)

    assert schema.version(database) == before == schema.head(database)


def test_a_schema_of_a_newer_version_is_refused_in_words(database):
    engine = create_engine(database.database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StorageBroken, match=r"newer Postroom \(schema 9999\)"):
        schema.migrate(database)

    assert schema.version(database) == "9999"


def test_a_file_that_is_about_to_change_is_copied_first(settings):
    settings.data_dir.mkdir()
    file = settings.data_dir / "postroom.db"
    schema.migrate(settings)
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO installation VALUES ('note', 'kept', 1)")
    connection.close()

    schema._copy(settings, "0001")

    copy = file.with_name("postroom.db.before-0001")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT value FROM installation WHERE name = 'note'").fetchall() == [("kept",)]
    connection.close()
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_new_installation_is_migrated_from_nothing(settings):
    assert schema.version(settings) is None
    settings.data_dir.mkdir()

    schema.migrate(settings)

    assert schema.version(settings) == schema.head(settings)


def test_asking_for_the_version_makes_no_file(settings):
    settings.data_dir.mkdir()
    schema.version(settings)

    assert list(settings.data_dir.iterdir()) == []
