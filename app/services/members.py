"""Members: who belongs to the organization, in which role and business units, and what becomes of their webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from app import clock, crypto, ids
from app.core.access import Permission
from app.core.passwords import email_problem, password_problem
from app.core.states import Reason
from app.core.texts import is_name
from app.database import read, write
from app.delivery import bell, settings
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import BusinessUnit, Membership, Notification, Role, User, Webhook
from app.services import audit, browser_sessions, roles
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Named:
    """Something with an id and a name: a business unit, a webhook."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as shown."""

    row_id: int
    id: str
    user_id: str
    name: str
    email: str
    role: str
    sees_everything: bool
    units: tuple[Named, ...]
    unit_ids: tuple[str, ...]
    """The external ids of the same units."""
    webhooks: tuple[Named, ...]
    is_active: bool
    has_password: bool
    last_seen_at: int | None
    created_at: int


class _OnRecord(NamedTuple):
    """A member, as the audit log names them."""

    public_id: str
    name: str


# --- finding


def list_all(actor: Actor, *, q: str = "", role: str = "") -> list[MemberView]:
    """Return the members by name, with the webhooks they own: those whose name or e-mail contains `q`, of a role."""
    actor.require(Permission.MEMBERS)
    query = _members_of(actor, q, role)
    with read() as session:
        members = session.scalars(_members(session, actor).where(Membership.id.in_(query))).all()
        owned = _owned(session, [member.id for member in members])
        views = [_view(member, owned.get(member.id, ())) for member in members]
    return sorted(views, key=lambda view: (view.name.casefold(), view.email))


def find(actor: Actor, public_id: str) -> MemberView:
    """Return one member."""
    actor.require(Permission.MEMBERS)
    with read() as session:
        return _shown(session, _one(session, actor, public_id))


def who_lets_in(actor: Actor) -> list[str]:
    """Return the names of two members who can give the actor access; any member may know them."""
    with read() as session:
        rows = session.scalars(_members(session, actor).order_by(Membership.id)).all()
        found = [row.user.name for row in rows if Permission.MEMBERS in row.permissions and row.user.password_hash]
    return found[:2]


def _members(session: Session, actor: Actor) -> Any:
    return (
        for_org(session, actor, Membership)
        .query()
        .options(joinedload(Membership.user), joinedload(Membership.role), selectinload(Membership.units))
    )


def _members_of(actor: Actor, q: str, role: str) -> Select[int]:
    query = select(Membership.id).where(Membership.organization_id == actor.organization_id)
    if q:
        query = query.join(Membership.user).where(
            User.name.icontains(q, autoescape=True) | User.email.icontains(q, autoescape=True)
        )
    if role:
        query = query.join(Membership.role).where(Role.name == role)
    return query


def _one(session: Session, actor: Actor, public_id: str) -> Membership:
    found: Membership | None = session.scalar(_members(session, actor).where(Membership.public_id == public_id))
    if found is None:
        raise NotFound
    return found


def _owned(session: Session, members: Sequence[int]) -> dict[int, tuple[Named, ...]]:
    query = select(Webhook.owner_id, Webhook.public_id, Webhook.name)
    query = query.where(Webhook.owner_id.in_(members), Webhook.deleted_at.is_(None)).order_by(Webhook.name, Webhook.id)
    owned: dict[int, tuple[Named, ...]] = {}
    for owner, public_id, name in session.execute(query).all():
        assert owner is not None
        owned[owner] = (*owned.get(owner, ()), Named(public_id, name))
    return owned


def _shown(session: Session, member: Membership) -> MemberView:
    return _view(member, _owned(session, [member.id]).get(member.id, ()))


def _view(member: Membership, webhooks: tuple[Named, ...]) -> MemberView:
    units = sorted((Named(unit.public_id, unit.name) for unit in member.units), key=lambda unit: unit.name.casefold())
    return MemberView(
        row_id=member.id,
        id=member.public_id,
        user_id=member.user.public_id,
        name=member.user.name,
        email=member.user.email,
        role=member.role.name,
        sees_everything=member.role.sees_everything,
        units=tuple(units),
        unit_ids=tuple(sorted(unit.external_id for unit in member.units)),
        webhooks=webhooks,
        is_active=member.user.is_active,
        has_password=member.user.password_hash is not None,
        last_seen_at=member.user.last_seen_at,
        created_at=member.created_at,
    )


# --- changing


def add(
    actor: Actor, email: str, *, name: str, role: str, units: Sequence[str] = (), password: str | None = None
) -> MemberView:
    """Add somebody; a new account when the e-mail has none. `units` are public ids of business units.

    Without a password the account can't be signed in to yet. Raises `Invalid`, `Conflict`, `Refused`.
    """
    actor.require(Permission.MEMBERS)
    email, name, now = email.strip().lower(), name.strip(), clock.now()
    problems = _problems(email, name, password)
    if problems:
        raise Invalid(problems)
    hashed = crypto.hash_password(password) if password is not None else None
    try:
        with write() as session:
            roles.begin_change(session, actor)
            user = session.scalar(select(User).where(User.email == email))
            if user is not None and hashed is not None:
                raise Invalid([Problem("password", f"{email} has an account already, with a password of its own.")])
            member = Membership(
                public_id=ids.new_id("mem"),
                organization_id=actor.organization_id,
                user=user or _new_user(email, name, hashed, now),
                role=_role(session, actor, role),
                units=_units(session, actor, units),
                created_at=now,
            )
            session.add(member)
            session.flush()
            _record(session, actor, "member.added", member, {"role": (None, role)})
            return _shown(session, member)
    except IntegrityError as error:
        raise Conflict(f"{email} is a member already.") from error


def _problems(email: str, name: str, password: str | None) -> list[Problem]:
    problems = []
    if words := email_problem(email):
        problems.append(Problem("email", words))
    if not is_name(name, LONGEST_NAME):
        problems.append(Problem("name", f"Give a name of 1 to {LONGEST_NAME} characters."))
    if password is not None and (words := password_problem(password, email)):
        problems.append(Problem("password", words))
    return problems


def _new_user(email: str, name: str, hashed: str | None, now: int) -> User:
    return User(
        public_id=ids.new_id("usr"),
        email=email,
        name=name,
        password_hash=hashed,
        session_version=1,
        is_operator=False,
        is_active=True,
        theme="system",
        created_at=now,
    )


def change(actor: Actor, public_id: str, *, role: str | None = None, units: Sequence[str] | None = None) -> MemberView:
    """Give a member another role, other business units (public ids), or both. Raises `Conflict` for the last admin."""
    actor.require(Permission.MEMBERS)
    with write() as session:
        roles.begin_change(session, actor)
        member = _one(session, actor, public_id)
        changes: dict[str, tuple[object, object]] = {}
        if role is not None and role != member.role.name:
            roles.require_may_give(actor, member.role)
            given = _role(session, actor, role)
            if Permission.MEMBERS not in given.permissions:
                _keep_an_admin(session, member)
            changes["role"] = (member.role.name, role)
            member.role = given
        if units is not None:
            before = sorted(unit.name for unit in member.units)
            member.units = _units(session, actor, units)
            after = sorted(unit.name for unit in member.units)
            if before != after:
                changes["units"] = (before, after)
        if changes:
            _record(session, actor, "member.changed", member, changes)
        session.flush()
        return _shown(session, member)


def remove(actor: Actor, public_id: str, *, heir: str | None = None) -> None:
    """Remove a member. Their webhooks go to the member `heir`; without one they are turned off.

    Who belongs to no other organization can't sign in any more. Raises `Conflict` for the last admin.
    """
    actor.require(Permission.MEMBERS)
    now = clock.now()
    with write() as session:
        roles.begin_change(session, actor)
        member = _leaving(session, actor, public_id)
        touched = _hand_over(session, actor, member, heir, now)
        _record(session, actor, "member.removed", member)
        user = member.user
        session.delete(member)
        session.flush()
        if not user.is_operator and not _belongs_somewhere(session, user):
            user.is_active = False
            user.session_version += 1
            browser_sessions.end_all(session, user)
    _tell_engine(touched)


def deactivate(actor: Actor, public_id: str, *, heir: str | None = None) -> MemberView:
    """Keep somebody from signing in; their webhooks as in `remove`.

    Raises `Conflict` for the last admin, and for who is in other organizations too.
    """
    actor.require(Permission.MEMBERS)
    now = clock.now()
    with write() as session:
        roles.begin_change(session, actor)
        member = _leaving(session, actor, public_id)
        others = select(Membership.id).where(Membership.user_id == member.user_id, Membership.id != member.id)
        if member.user.is_operator or session.scalar(others.limit(1)) is not None:
            raise Conflict(f"{member.user.name} isn't only a member of this organization. Remove them from it instead.")
        touched = _hand_over(session, actor, member, heir, now)
        member.user.is_active = False
        member.user.session_version += 1
        browser_sessions.end_all(session, member.user)
        _record(session, actor, "member.deactivated", member)
        session.flush()
        view = _shown(session, member)
    _tell_engine(touched)
    return view


def activate(actor: Actor, public_id: str) -> MemberView:
    """Let somebody sign in again."""
    actor.require(Permission.MEMBERS)
    with write() as session:
        roles.begin_change(session, actor)
        member = _one(session, actor, public_id)
        roles.require_may_give(actor, member.role)
        if not member.user.is_active:
            member.user.is_active = True
            _record(session, actor, "member.activated", member)
        session.flush()
        return _shown(session, member)


def _role(session: Session, actor: Actor, name: str) -> Role:
    role = session.scalar(for_org(session, actor, Role).query().where(Role.name == name))
    if role is None:
        raise Invalid([Problem("role", f"There is no role {name}.")])
    roles.require_may_give(actor, role)
    return role


def _units(session: Session, actor: Actor, public_ids: Sequence[str]) -> list[BusinessUnit]:
    query = for_org(session, actor, BusinessUnit).query().where(BusinessUnit.public_id.in_(public_ids))
    found = list(session.scalars(query))
    if len(found) != len(set(public_ids)):
        raise Invalid([Problem("units", "One of the business units doesn't exist any more. Choose again.")])
    return found


def _leaving(session: Session, actor: Actor, public_id: str) -> Membership:
    member = _one(session, actor, public_id)
    roles.require_may_give(actor, member.role)
    _keep_an_admin(session, member)
    return member


def _keep_an_admin(session: Session, leaving: Membership) -> None:
    """Refuse to lose the last one who manages members: nobody could let another one in."""
    if Permission.MEMBERS not in leaving.permissions:
        return
    others = (
        select(Membership)
        .where(Membership.organization_id == leaving.organization_id, Membership.id != leaving.id)
        .options(joinedload(Membership.user), joinedload(Membership.role))
    )
    if not any(Permission.MEMBERS in other.permissions for other in session.scalars(others)):
        raise Conflict(f"{leaving.user.name} is the last admin. Make somebody else an admin first.")


def _belongs_somewhere(session: Session, user: User) -> bool:
    return bool(session.scalar(select(func.count(Membership.id)).where(Membership.user_id == user.id)))


def _record(
    session: Session,
    actor: Actor,
    action: str,
    member: Membership,
    changes: dict[str, tuple[object, object]] | None = None,
) -> None:
    audit.record(session, actor, action, _OnRecord(member.public_id, member.user.name), changes)


# --- what becomes of their webhooks


def _hand_over(session: Session, actor: Actor, member: Membership, heir: str | None, now: int) -> list[int]:
    """Give a member's webhooks to the heir, or turn them off; return them all."""
    new_owner = _heir(session, actor, member, heir)
    query = for_org(session, actor, Webhook).query().where(Webhook.owner_id == member.id)
    touched = []
    for webhook in session.scalars(query):
        if new_owner is not None:
            webhook.owner = new_owner
            webhook.version += 1  # not `touch`: what is sent again stays as it was
            names = (member.user.name, new_owner.user.name)
            audit.record(session, actor, "webhook.given", webhook, {"owner": names})
        elif webhook.turn_off(Reason.OWNER_LEFT, actor.name, now):
            audit.record(session, actor, "webhook.turned_off", webhook, {"reason": (None, Reason.OWNER_LEFT.value)})
            session.add(_notice(webhook, member, now))
        touched.append(webhook.id)
    session.flush()
    return touched


def _heir(session: Session, actor: Actor, member: Membership, heir: str | None) -> Membership | None:
    if heir is None:
        return None
    found = _one(session, actor, heir)
    if found.id == member.id or Permission.WEBHOOKS not in found.permissions:
        raise Invalid([Problem("heir", "Choose another member who may have webhooks.")])
    return found


def _notice(webhook: Webhook, member: Membership, now: int) -> Notification:
    return Notification(
        public_id=ids.new_id("ntf"),
        organization_id=webhook.organization_id,
        webhook_id=webhook.id,
        subject=f"{webhook.name} was turned off",
        body=f"It was turned off because its owner, {member.user.name}, left. "
        "New events are not queued until it is given to somebody and turned on.",
        created_at=now,
    )


def _tell_engine(webhooks: Sequence[int]) -> None:
    for webhook_id in webhooks:
        settings.forget(webhook_id)
    bell.ring()
