"""For other WSGI servers: pages and API. Delivering then needs `postroom worker` beside it."""

from app import create_app

app = create_app()
