"""Statistics, replays by filter, saved views, browser sessions, two-factor codes, alerts and probes."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CAUSES = sa.Enum(
    "failing",
    "warning",
    "turned_off",
    "recovered",
    name="cause",
    native_enum=False,
    create_constraint=True,
    length=48,
)
STATES = sa.Enum(
    "running", "done", "stopped", name="replaystate", native_enum=False, create_constraint=True, length=48
)


def upgrade() -> None:
    _tables()
    _columns(
        "user",
        {
            "recovery_codes": (sa.Text(), "[]"),
            "is_compact": (sa.Boolean(), sa.false()),
            "has_shortcuts": (sa.Boolean(), sa.true()),
            "gets_mail": (sa.Boolean(), sa.true()),
        },
        {"totp_used": sa.BigInteger()},
    )
    _columns(
        "organization",
        {"alert_addresses": (sa.Text(), "[]"), "alert_events": (sa.Boolean(), sa.false())},
        {"default_preset": sa.String(), "default_owner": sa.String(), "retention_days": sa.Integer(), "retention_failed_days": sa.Integer()},
    )
    _columns(
        "notification",
        {"cause": (CAUSES, "turned_off"), "mail_tries": (sa.Integer(), "0")},
        {"told_at": sa.BigInteger(), "mail_due_at": sa.BigInteger()},
    )
    op.execute("UPDATE notification SET told_at = created_at")  # old news: nobody is mailed about it now
    where = sa.text("told_at IS NULL")
    op.create_index("ix_notification_untold", "notification", ["id"], sqlite_where=where, postgresql_where=where)
    _columns("lane", {"probes": (sa.Integer(), "0")}, {"probe_at": sa.BigInteger()})


def _tables() -> None:
    op.create_table(
        "stat",
        sa.Column("webhook_id", KEY, sa.ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("hour", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("measure", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "replay",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("public_id", sa.String(), nullable=False, unique=True),
        sa.Column("organization_id", KEY, sa.ForeignKey("organization.id", ondelete="CASCADE"), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_by_id", sa.String()),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("state", STATES, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
    )
    op.create_index(op.f("ix_replay_organization_id_id"), "replay", ["organization_id", "id"])
    where = sa.text("state = 'running'")
    op.create_index("ix_replay_running", "replay", ["id"], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "replay_item",
        sa.Column("replay_id", KEY, sa.ForeignKey("replay.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("event_id", KEY, sa.ForeignKey("event.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("webhook_id", KEY, sa.ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("delivery_id", KEY, sa.ForeignKey("delivery.id", ondelete="SET NULL"), index=True),
        sa.Column("refused", sa.String()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "saved_view",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("public_id", sa.String(), nullable=False, unique=True),
        sa.Column(
            "organization_id", KEY, sa.ForeignKey("organization.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("membership_id", KEY, sa.ForeignKey("membership.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("membership_id", "name"),
    )
    op.create_table(
        "browser_session",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("public_id", sa.String(), nullable=False, unique=True),
        sa.Column("user_id", KEY, sa.ForeignKey("user.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("address", sa.String()),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
    )


def _columns(table: str, filled: dict[str, tuple[Any, Any]], empty: dict[str, Any]) -> None:
    """Add columns: `filled` ones get a value in the rows that are there, and no default in the schema."""
    with op.batch_alter_table(table) as batch:
        for name, (kind, value) in filled.items():
            batch.add_column(sa.Column(name, kind, nullable=False, server_default=value))
        for name, kind in empty.items():
            batch.add_column(sa.Column(name, kind, nullable=True))
    with op.batch_alter_table(table) as batch:
        for name in filled:
            batch.alter_column(name, server_default=None)
