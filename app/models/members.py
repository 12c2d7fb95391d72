"""People: users, their memberships of organizations, roles, and failed sign-ins."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.access import Permission, View
from app.extensions import Model
from app.models.business_units import BusinessUnit
from app.models.organizations import Organization
from app.models.types import Encrypted, Json, Key, Moment


class User(Model):
    """A person who can sign in."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str] = mapped_column(unique=True)  # lower case
    name: Mapped[str]
    password_hash: Mapped[str | None]
    session_version: Mapped[int] = mapped_column(default=1)  # moved on: every session ends
    is_operator: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    zone: Mapped[str | None]
    theme: Mapped[str] = mapped_column(default="system")
    totp_secret: Mapped[str | None] = mapped_column(Encrypted("user.totp_secret"))
    totp_used: Mapped[int | None] = mapped_column(Moment)  # the last time step whose code was used: none works twice
    recovery_codes: Mapped[list[str]] = mapped_column(Json, default=list)  # digests of those not used yet
    is_compact: Mapped[bool] = mapped_column(default=False)  # rows of 36 px instead of 44
    has_shortcuts: Mapped[bool] = mapped_column(default=True)
    gets_mail: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int] = mapped_column(Moment)
    last_seen_at: Mapped[int | None] = mapped_column(Moment)

    memberships: Mapped[list[Membership]] = relationship(back_populates="user", cascade="all, delete-orphan")


class BrowserSession(Model):
    """A browser in which a user is signed in. Its deletion signs that browser out."""

    __tablename__ = "browser_session"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    address: Mapped[str | None]
    user_agent: Mapped[str]
    created_at: Mapped[int] = mapped_column(Moment)
    last_seen_at: Mapped[int] = mapped_column(Moment)


class Role(Model):
    """A named set of permissions within an organization."""

    __tablename__ = "role"
    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    name: Mapped[str]
    permissions: Mapped[list[str]] = mapped_column(Json)
    sees_everything: Mapped[bool] = mapped_column(default=False)


class MembershipUnit(Model):
    """A business unit that a member belongs to."""

    __tablename__ = "membership_unit"

    membership_id: Mapped[int] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"), primary_key=True)
    business_unit_id: Mapped[int] = mapped_column(ForeignKey("business_unit.id", ondelete="CASCADE"), primary_key=True)


class Membership(Model):
    """A user in an organization: the member."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("organization_id", "user_id"), Index(None, "user_id"))

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"))
    created_at: Mapped[int] = mapped_column(Moment)

    user: Mapped[User] = relationship(back_populates="memberships")
    role: Mapped[Role] = relationship()
    organization: Mapped[Organization] = relationship()
    units: Mapped[list[BusinessUnit]] = relationship(secondary="membership_unit")

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the member may do; nothing while the user is disabled."""
        if not self.user.is_active:
            return frozenset()
        return frozenset(Permission(name) for name in self.role.permissions)

    @property
    def view(self) -> View:
        """What the member sees."""
        units = frozenset(unit.id for unit in self.units)
        return View(self.user.email, self.role.sees_everything and self.user.is_active, units)


class SignInFailure(Model):
    """Failed sign-ins of one account from one address, or of one address in all."""

    __tablename__ = "sign_in_failure"

    subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # a digest: no address is kept readable
    count: Mapped[int]
    first_at: Mapped[int] = mapped_column(Moment)
    blocked_until: Mapped[int] = mapped_column(Moment)
