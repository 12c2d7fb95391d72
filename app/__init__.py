"""Postroom: self-hosted outgoing webhooks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask_openapi.openapi import OpenAPI

    from app.config import Settings
    from app.core.packs import EventPack
    from app.core.presets import Preset
    from app.core.schemes import Scheme
    from app.delivery.installed import Installed


def create_app(settings: Settings | None = None) -> OpenAPI:
    """Return the application: pages and API. Starts no thread, touches no table, opens no connection.

    Without `settings` they come from the environment. Delivering needs `postroom serve` or `postroom worker`.
    """
    from flask_openapi.models.info import Info
    from flask_openapi.openapi import OpenAPI

    from app import api, database, web
    from app.config import ASSETS, read_settings
    from app.extensions import csrf, db, login_manager

    if settings is None:
        settings, _ = read_settings()
    app = OpenAPI(
        "app",
        info=Info(title="Postroom", version=__version__),
        doc_ui=False,
        validation_error_model=api.Problem,
        validation_error_callback=api.refuse_invalid,
        instance_path=str(settings.data_dir),
        template_folder=str(ASSETS / "templates"),
        static_folder=str(ASSETS / "static"),
    )
    furnish(app, settings)
    db.init_app(app)
    login_manager.init_app(app)
    csrf.init_app(app)
    with app.app_context():
        database.prepare(db)
    web.register(app, settings)
    api.register(app)
    return app


def furnish(app: Flask, settings: Settings) -> None:
    """Make an installation the one that this process works with: its options, keys, presets and packs.

    The key file is made where there is none. Engines and routes are not looked at.
    """
    from app import crypto, faults
    from app.delivery import installed
    from app.delivery import settings as delivery_settings

    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = crypto.load_keys(settings)
    crypto.use(crypto.Ring(keys.encryption))
    installed.use(_load(settings))
    delivery_settings.forget_all()
    faults.arm(settings.faults)
    app.config.from_mapping(_flask_config(settings, keys.session))


_POOL = {
    "pool_use_lifo": True,  # the connection used last has in memory what is asked for next
    # An error that is logged must not tell the values of the statement: payloads and addresses are among them.
    "hide_parameters": True,
}


def _flask_config(settings: Settings, secret_key: str) -> dict[str, object]:
    is_https = settings.address.startswith("https://")
    config: dict[str, object] = {
        "SECRET_KEY": secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database,
        "SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": settings.threads + 8, "max_overflow": 16, **_POOL},
        "SESSION_COOKIE_NAME": "__Host-postroom" if is_https else "postroom",
        "SESSION_COOKIE_SECURE": is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,  # a form that was open for an hour still works
        "MAX_CONTENT_LENGTH": 2 * 2**20,  # of forms, which anybody may send; what takes more says so
        "MAX_FORM_MEMORY_SIZE": 500_000,
        "MAX_FORM_PARTS": 5_000,
        "APPLICATION_ROOT": urlsplit(settings.address).path or "/",
    }
    if settings.base_url:
        config["TRUSTED_HOSTS"] = [urlsplit(settings.base_url).netloc, "127.0.0.1", "localhost"]
    if settings.database.startswith("sqlite"):
        config["SQLALCHEMY_BINDS"] = {"read": {"url": settings.database, **_POOL}}
    else:
        config["SQLALCHEMY_ENGINE_OPTIONS"] = {**config["SQLALCHEMY_ENGINE_OPTIONS"], "pool_pre_ping": True}  # type: ignore[dict-item]
    return config


def _load(settings: Settings) -> Installed:
    from app import datafiles
    from app.core.addresses import Allowed
    from app.core.urls import UrlError, parse
    from app.delivery.installed import Installed

    presets, packs = datafiles.presets(settings.data_dir), datafiles.packs(settings.data_dir)
    known = _read(datafiles.signatures(), tuple(presets.items()), tuple(packs.items()))
    try:
        base = parse(settings.address + "/")
    except UrlError:
        base = None
    return Installed(
        settings=settings,
        base=base,
        schemes=known[0],
        presets=known[1],
        packs=known[2],
        allowed=Allowed(settings.allow_networks, frozenset(settings.allow_ports)),
        preset_files=tuple(presets.items()),
    )


@lru_cache(maxsize=4)
def _read(
    signatures: bytes, presets: tuple[tuple[str, bytes], ...], packs: tuple[tuple[str, bytes], ...]
) -> tuple[Mapping[str, Scheme], Mapping[str, Preset], Mapping[str, EventPack]]:
    """Read the data files: once, however many applications a process makes of the same ones."""
    from app.core.packs import load_packs
    from app.core.presets import load_presets
    from app.core.schemes import load_schemes

    schemes = load_schemes(signatures)
    return schemes, load_presets(presets, schemes), load_packs(packs)
