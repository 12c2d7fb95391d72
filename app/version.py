"""The version of Postroom: one place for package, pages and the User-Agent."""

__version__ = "0.1.0"
