"""The spine: organizations, people, catalogue, webhooks, events, deliveries, inboxes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('installation',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('value', sa.LargeBinary(), nullable=False),
    sa.Column('changed_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_installation'))
    )
    op.create_table('organization',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('routing_version', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_organization')),
    sa.UniqueConstraint('public_id', name=op.f('uq_organization_public_id'))
    )
    op.create_table('sign_in_failure',
    sa.Column('subject', sa.LargeBinary(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('first_at', sa.BigInteger(), nullable=False),
    sa.Column('blocked_until', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('subject', name=op.f('pk_sign_in_failure'))
    )
    op.create_table('user',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('email', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('password_hash', sa.String(), nullable=True),
    sa.Column('session_version', sa.Integer(), nullable=False),
    sa.Column('is_operator', sa.Boolean(), nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('zone', sa.String(), nullable=True),
    sa.Column('theme', sa.String(), nullable=False),
    sa.Column('totp_secret', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('last_seen_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_user')),
    sa.UniqueConstraint('email', name=op.f('uq_user_email')),
    sa.UniqueConstraint('public_id', name=op.f('uq_user_public_id'))
    )
    op.create_table('worker',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_worker'))
    )
    op.create_table('api_key',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('scopes', sa.Text(), nullable=False),
    sa.Column('last_four', sa.String(), nullable=False),
    sa.Column('made_by', sa.String(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=True),
    sa.Column('last_used_at', sa.BigInteger(), nullable=True),
    sa.Column('revoked_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_api_key_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_key')),
    sa.UniqueConstraint('public_id', name=op.f('uq_api_key_public_id'))
    )
    with op.batch_alter_table('api_key', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_api_key_organization_id'), ['organization_id'], unique=False)

    op.create_table('audit_entry',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('actor_id', sa.String(), nullable=True),
    sa.Column('address', sa.String(), nullable=True),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('object_name', sa.String(), nullable=False),
    sa.Column('object_id', sa.String(), nullable=False),
    sa.Column('changes', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_audit_entry_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_entry'))
    )
    with op.batch_alter_table('audit_entry', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_audit_entry_object_id_id'), ['object_id', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_audit_entry_organization_id_at_id'), ['organization_id', 'at', 'id'], unique=False)

    op.create_table('business_unit',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('external_id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_business_unit_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_business_unit')),
    sa.UniqueConstraint('organization_id', 'external_id', name=op.f('uq_business_unit_organization_id_external_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_business_unit_public_id'))
    )
    op.create_table('event_type',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('title', sa.String(), nullable=False),
    sa.Column('description', sa.String(), nullable=False),
    sa.Column('example', sa.LargeBinary(), nullable=False),
    sa.Column('schema', sa.LargeBinary(), nullable=True),
    sa.Column('schema_mode', sa.Enum('off', 'warn', 'reject', name='schemamode', native_enum=False, create_constraint=True, length=48), nullable=False),
    sa.Column('public_name', sa.String(), nullable=True),
    sa.Column('searchable', sa.Text(), nullable=False),
    sa.Column('diff_model', sa.String(), nullable=True),
    sa.Column('diff_into', sa.String(), nullable=True),
    sa.Column('pack', sa.String(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_event_type_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event_type')),
    sa.UniqueConstraint('organization_id', 'name', name=op.f('uq_event_type_organization_id_name'))
    )
    op.create_table('inbox',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('token', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('answers', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_inbox_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inbox')),
    sa.UniqueConstraint('public_id', name=op.f('uq_inbox_public_id')),
    sa.UniqueConstraint('token', name=op.f('uq_inbox_token'))
    )
    with op.batch_alter_table('inbox', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_inbox_organization_id'), ['organization_id'], unique=False)

    op.create_table('resource',
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('external_id', sa.String(), nullable=False),
    sa.Column('model', sa.LargeBinary(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_resource_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('organization_id', 'type', 'external_id', name=op.f('pk_resource'))
    )
    op.create_table('role',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('permissions', sa.Text(), nullable=False),
    sa.Column('sees_everything', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_role_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_role')),
    sa.UniqueConstraint('organization_id', 'name', name=op.f('uq_role_organization_id_name'))
    )
    op.create_table('company',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('business_unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('external_id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('fields', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['business_unit_id'], ['business_unit.id'], name=op.f('fk_company_business_unit_id_business_unit'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_company_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_company')),
    sa.UniqueConstraint('organization_id', 'external_id', name=op.f('uq_company_organization_id_external_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_company_public_id'))
    )
    with op.batch_alter_table('company', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_company_business_unit_id'), ['business_unit_id'], unique=False)

    op.create_table('event',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('event_type_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('producer_id', sa.String(), nullable=True),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.Column('context', sa.LargeBinary(), nullable=True),
    sa.Column('diff', sa.LargeBinary(), nullable=True),
    sa.Column('status', sa.String(), nullable=True),
    sa.Column('resource_type', sa.String(), nullable=True),
    sa.Column('resource_id', sa.String(), nullable=True),
    sa.Column('business_unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('visible_to', sa.Text(), nullable=True),
    sa.Column('is_public', sa.Boolean(), nullable=False),
    sa.Column('is_test', sa.Boolean(), nullable=False),
    sa.Column('warning', sa.String(), nullable=True),
    sa.Column('api_key_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('occurred_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('repeated_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['api_key_id'], ['api_key.id'], name=op.f('fk_event_api_key_id_api_key'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['business_unit_id'], ['business_unit.id'], name=op.f('fk_event_business_unit_id_business_unit'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['event_type_id'], ['event_type.id'], name=op.f('fk_event_event_type_id_event_type'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_event_organization_id_organization'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event')),
    sa.UniqueConstraint('organization_id', 'producer_id', name=op.f('uq_event_organization_id_producer_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_event_public_id'))
    )
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.create_index('ix_event_business_unit', ['business_unit_id'], unique=False, sqlite_where=sa.text("business_unit_id IS NOT NULL"), postgresql_where=sa.text("business_unit_id IS NOT NULL"))
        batch_op.create_index(batch_op.f('ix_event_organization_id_created_at_id'), ['organization_id', 'created_at', 'id'], unique=False)

    op.create_table('inbox_request',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('inbox_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('method', sa.String(), nullable=False),
    sa.Column('headers', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('answered', sa.String(), nullable=False),
    sa.Column('delivery', sa.String(), nullable=True),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['inbox_id'], ['inbox.id'], name=op.f('fk_inbox_request_inbox_id_inbox'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inbox_request')),
    sa.UniqueConstraint('public_id', name=op.f('uq_inbox_request_public_id'))
    )
    with op.batch_alter_table('inbox_request', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_inbox_request_inbox_id_id'), ['inbox_id', 'id'], unique=False)

    op.create_table('membership',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('role_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_membership_organization_id_organization'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['role_id'], ['role.id'], name=op.f('fk_membership_role_id_role')),
    sa.ForeignKeyConstraint(['user_id'], ['user.id'], name=op.f('fk_membership_user_id_user'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_membership')),
    sa.UniqueConstraint('organization_id', 'user_id', name=op.f('uq_membership_organization_id_user_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_membership_public_id'))
    )
    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_membership_user_id'), ['user_id'], unique=False)

    op.create_table('membership_unit',
    sa.Column('membership_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('business_unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['business_unit_id'], ['business_unit.id'], name=op.f('fk_membership_unit_business_unit_id_business_unit'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['membership_id'], ['membership.id'], name=op.f('fk_membership_unit_membership_id_membership'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('membership_id', 'business_unit_id', name=op.f('pk_membership_unit'))
    )
    op.create_table('sent_body',
    sa.Column('event_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('head', sa.LargeBinary(), nullable=False),
    sa.Column('tail', sa.LargeBinary(), nullable=False),
    sa.Column('has_data', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_sent_body_event_id_event'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('event_id', 'digest', name=op.f('pk_sent_body')),
    sqlite_with_rowid=False,
    )
    op.create_table('webhook',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('owner_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('url', sa.String(), nullable=False),
    sa.Column('preset', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('off_reason', sa.Enum('webhook_off', 'webhook_paused', 'webhook_deleted', 'event_type_not_selected', 'business_unit_not_selected', 'owner_cannot_see', 'filtered_out', 'created_later', 'shape_failed', 'exhausted', 'gone', 'asked', 'test_failed', 'refused_by_rule', 'interrupted_repeatedly', 'by_person', 'new', 'sustained_failure', 'owner_left', name='reason', native_enum=False, create_constraint=True, length=48), nullable=True),
    sa.Column('switched_at', sa.BigInteger(), nullable=True),
    sa.Column('switched_by', sa.String(), nullable=True),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('paused_at', sa.BigInteger(), nullable=True),
    sa.Column('paused_by', sa.String(), nullable=True),
    sa.Column('content_type', sa.Enum('application/json', 'application/x-www-form-urlencoded', name='contenttype', native_enum=False, create_constraint=True, length=48), nullable=False),
    sa.Column('verify_ssl', sa.Boolean(), nullable=False),
    sa.Column('data_mode', sa.Enum('everything', 'status_only', name='datamode', native_enum=False, create_constraint=True, length=48), nullable=False),
    sa.Column('extra_fields', sa.Text(), nullable=False),
    sa.Column('field_mapping', sa.Text(), nullable=False),
    sa.Column('only_mapped_fields', sa.Boolean(), nullable=False),
    sa.Column('auth', sa.LargeBinary(), nullable=True),
    sa.Column('headers', sa.LargeBinary(), nullable=True),
    sa.Column('filter', sa.String(), nullable=True),
    sa.Column('scheme', sa.String(), nullable=True),
    sa.Column('signature_header', sa.String(), nullable=True),
    sa.Column('delays_ms', sa.Text(), nullable=False),
    sa.Column('timeout_ms', sa.Integer(), nullable=False),
    sa.Column('jitter', sa.Double(), nullable=False),
    sa.Column('on_exhausted', sa.Enum('keep', 'disable', name='exhausted', native_enum=False, create_constraint=True, length=48), nullable=False),
    sa.Column('rate_limit', sa.Double(), nullable=True),
    sa.Column('max_in_flight', sa.Integer(), nullable=False),
    sa.Column('ordered', sa.Boolean(), nullable=False),
    sa.Column('success_codes', sa.Text(), nullable=False),
    sa.Column('ca', sa.String(), nullable=True),
    sa.Column('client_certificate', sa.LargeBinary(), nullable=True),
    sa.Column('alert_addresses', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('deleted_at', sa.BigInteger(), nullable=True),
    sa.CheckConstraint('(deleted_at IS NULL) OR NOT enabled', name=op.f('ck_webhook_deleted_is_off')),
    sa.CheckConstraint('max_in_flight >= 1', name=op.f('ck_webhook_max_in_flight')),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_webhook_organization_id_organization'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['owner_id'], ['membership.id'], name=op.f('fk_webhook_owner_id_membership'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook')),
    sa.UniqueConstraint('public_id', name=op.f('uq_webhook_public_id'))
    )
    with op.batch_alter_table('webhook', schema=None) as batch_op:
        batch_op.create_index('ix_webhook_enabled', ['organization_id'], unique=False, sqlite_where=sa.text('enabled'), postgresql_where=sa.text('enabled'))
        batch_op.create_index(batch_op.f('ix_webhook_organization_id_name'), ['organization_id', 'name'], unique=False)

    op.create_table('delivery',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('event_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('webhook_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('copy', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=48), nullable=False),
    sa.Column('by_hand', sa.Boolean(), nullable=False),
    sa.Column('state', sa.String(length=48), nullable=False),
    sa.Column('reason', sa.String(length=48), nullable=True),
    sa.Column('detail', sa.String(), nullable=True),
    sa.Column('event_type', sa.String(), nullable=False),
    sa.Column('url', sa.String(), nullable=False),
    sa.Column('attempt_count', sa.Integer(), nullable=False),
    sa.Column('interruptions', sa.Integer(), nullable=False),
    sa.Column('attempts_allowed', sa.Integer(), nullable=False),
    sa.Column('next_attempt_at', sa.BigInteger(), nullable=True),
    sa.Column('lease_id', sa.BigInteger(), nullable=True),
    sa.Column('leased_until', sa.BigInteger(), nullable=True),
    sa.Column('last_status', sa.Integer(), nullable=True),
    sa.Column('last_error', sa.String(length=48), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('finished_at', sa.BigInteger(), nullable=True),
    sa.CheckConstraint("(finished_at IS NOT NULL) = (state = 'canceled' OR state = 'delivered' OR state = 'failed' OR state = 'skipped')", name=op.f('ck_delivery_finished')),
    sa.CheckConstraint("(leased_until IS NOT NULL) = (state = 'sending')", name=op.f('ck_delivery_leased')),
    sa.CheckConstraint('(lease_id IS NULL) = (leased_until IS NULL)', name=op.f('ck_delivery_lease_has_id')),
    sa.CheckConstraint('(next_attempt_at IS NULL) = (finished_at IS NOT NULL)', name=op.f('ck_delivery_waits_or_is_finished')),
    sa.CheckConstraint('interruptions <= attempt_count', name=op.f('ck_delivery_interruptions')),
    sa.CheckConstraint("kind = 'normal' OR kind = 'test' OR kind = 'replay'", name=op.f('ck_delivery_kind_deliverykind')),
    sa.CheckConstraint("state = 'pending' OR state = 'sending' OR state = 'delivered' OR state = 'failed' OR state = 'canceled' OR state = 'skipped'", name=op.f('ck_delivery_state_deliverystate')),
    sa.CheckConstraint("reason = 'webhook_off' OR reason = 'webhook_paused' OR reason = 'webhook_deleted' OR reason = 'event_type_not_selected' OR reason = 'business_unit_not_selected' OR reason = 'owner_cannot_see' OR reason = 'filtered_out' OR reason = 'created_later' OR reason = 'shape_failed' OR reason = 'exhausted' OR reason = 'gone' OR reason = 'asked' OR reason = 'test_failed' OR reason = 'refused_by_rule' OR reason = 'interrupted_repeatedly' OR reason = 'by_person' OR reason = 'new' OR reason = 'sustained_failure' OR reason = 'owner_left'", name=op.f('ck_delivery_reason_reason')),
    sa.CheckConstraint("last_error = 'status' OR last_error = 'dns' OR last_error = 'refused' OR last_error = 'connect_timeout' OR last_error = 'timeout' OR last_error = 'reset' OR last_error = 'tls' OR last_error = 'bad_http' OR last_error = 'too_large' OR last_error = 'incomplete' OR last_error = 'late' OR last_error = 'blocked' OR last_error = 'interrupted' OR last_error = 'shape_failed'", name=op.f('ck_delivery_last_error_errorclass')),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_delivery_event_id_event'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_delivery_organization_id_organization'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhook.id'], name=op.f('fk_delivery_webhook_id_webhook'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery')),
    sa.UniqueConstraint('event_id', 'webhook_id', 'copy', name=op.f('uq_delivery_event_id_webhook_id_copy')),
    sa.UniqueConstraint('public_id', name=op.f('uq_delivery_public_id')),
    postgresql_with={'fillfactor': '70'}
    )
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.create_index('ix_delivery_by_hand', ['id'], unique=False, sqlite_where=sa.text("state = 'pending' AND by_hand"), postgresql_where=sa.text("state = 'pending' AND by_hand"))
        batch_op.create_index('ix_delivery_leased', ['leased_until'], unique=False, sqlite_where=sa.text("state = 'sending'"), postgresql_where=sa.text("state = 'sending'"))
        batch_op.create_index(batch_op.f('ix_delivery_organization_id_created_at_id'), ['organization_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_delivery_suspect', ['id'], unique=False, sqlite_where=sa.text("state = 'pending' AND interruptions >= 2"), postgresql_where=sa.text("state = 'pending' AND interruptions >= 2"))
        batch_op.create_index('ix_delivery_trouble', ['organization_id', 'created_at', 'id'], unique=False, sqlite_where=sa.text("state = 'failed' OR state = 'pending' OR state = 'sending'"), postgresql_where=sa.text("state = 'failed' OR state = 'pending' OR state = 'sending'"))
        batch_op.create_index('ix_delivery_waiting', ['webhook_id', 'next_attempt_at', 'id'], unique=False, sqlite_where=sa.text("state = 'pending'"), postgresql_where=sa.text("state = 'pending'"))
        batch_op.create_index(batch_op.f('ix_delivery_webhook_id_created_at_id'), ['webhook_id', 'created_at', 'id'], unique=False)

    op.create_table('lane',
    sa.Column('webhook_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('worker', sa.String(), nullable=True),
    sa.Column('held_until', sa.BigInteger(), nullable=False),
    sa.Column('shut_until', sa.BigInteger(), nullable=False),
    sa.Column('failures_in_row', sa.Integer(), nullable=False),
    sa.Column('deliveries_failing', sa.Integer(), nullable=False),
    sa.Column('failed_attempts', sa.Integer(), nullable=False),
    sa.Column('times_opened', sa.Integer(), nullable=False),
    sa.Column('failing_since', sa.BigInteger(), nullable=True),
    sa.Column('last_failure_at', sa.BigInteger(), nullable=True),
    sa.Column('last_success_at', sa.BigInteger(), nullable=True),
    sa.Column('last_error', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhook.id'], name=op.f('fk_lane_webhook_id_webhook'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('webhook_id', name=op.f('pk_lane'))
    )
    op.create_table('notification',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('webhook_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_notification_organization_id_organization'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhook.id'], name=op.f('fk_notification_webhook_id_webhook'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notification')),
    sa.UniqueConstraint('public_id', name=op.f('uq_notification_public_id'))
    )
    with op.batch_alter_table('notification', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_notification_organization_id_closed_at'), ['organization_id', 'closed_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_notification_webhook_id'), ['webhook_id'], unique=False)

    op.create_table('signing_secret',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('webhook_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('secret', sa.LargeBinary(), nullable=False),
    sa.Column('made_by', sa.String(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhook.id'], name=op.f('fk_signing_secret_webhook_id_webhook'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_signing_secret'))
    )
    with op.batch_alter_table('signing_secret', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_signing_secret_webhook_id'), ['webhook_id'], unique=False)

    op.create_table('webhook_pattern',
    sa.Column('webhook_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('pattern', sa.String(), nullable=False),
    sa.Column('organization_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organization.id'], name=op.f('fk_webhook_pattern_organization_id_organization'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhook.id'], name=op.f('fk_webhook_pattern_webhook_id_webhook'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('webhook_id', 'pattern', name=op.f('pk_webhook_pattern'))
    )
    with op.batch_alter_table('webhook_pattern', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_webhook_pattern_organization_id_pattern'), ['organization_id', 'pattern'], unique=False)

    op.create_table('webhook_unit',
    sa.Column('webhook_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('business_unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['business_unit_id'], ['business_unit.id'], name=op.f('fk_webhook_unit_business_unit_id_business_unit'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhook.id'], name=op.f('fk_webhook_unit_webhook_id_webhook'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('webhook_id', 'business_unit_id', name=op.f('pk_webhook_unit'))
    )
    op.create_table('attempt',
    sa.Column('delivery_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('outcome', sa.String(length=48), nullable=False),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('error', sa.String(length=48), nullable=True),
    sa.Column('message', sa.String(), nullable=True),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('duration_ms', sa.Integer(), nullable=False),
    sa.Column('timings', sa.String(), nullable=True),
    sa.Column('peer', sa.String(), nullable=True),
    sa.Column('tls', sa.String(), nullable=True),
    sa.Column('url', sa.String(), nullable=False),
    sa.Column('request_headers', sa.LargeBinary(), nullable=False),
    sa.Column('body_digest', sa.LargeBinary(), nullable=True),
    sa.Column('response_headers', sa.LargeBinary(), nullable=True),
    sa.Column('response_body', sa.LargeBinary(), nullable=True),
    sa.Column('response_size', sa.Integer(), nullable=True),
    sa.Column('truncated', sa.Boolean(), nullable=False),
    sa.Column('late', sa.Boolean(), nullable=False),
    sa.CheckConstraint("outcome = 'succeeded' OR outcome = 'failed' OR outcome = 'blocked' OR outcome = 'interrupted'", name=op.f('ck_attempt_outcome_outcome')),
    sa.CheckConstraint("error = 'status' OR error = 'dns' OR error = 'refused' OR error = 'connect_timeout' OR error = 'timeout' OR error = 'reset' OR error = 'tls' OR error = 'bad_http' OR error = 'too_large' OR error = 'incomplete' OR error = 'late' OR error = 'blocked' OR error = 'interrupted' OR error = 'shape_failed'", name=op.f('ck_attempt_error_errorclass')),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_attempt_delivery_id_delivery'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('delivery_id', 'number', name=op.f('pk_attempt')),
    sqlite_with_rowid=False,
    )
