"""Expected failures, as the services raise them. Nothing of HTTP in here: web and api translate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one field, in words that say what to do."""

    field: str
    message: str


class AppError(Exception):
    """A failure that a person can be told about in plain words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(AppError):
    """There is nothing with this id, or the asker may not see it."""

    def __init__(self, message: str = "There's nothing here, or you may not see it.") -> None:
        super().__init__(message)


class Refused(AppError):
    """The asker may not do this."""


class Invalid(AppError):
    """What was given breaks a rule; every field that does is named."""

    def __init__(self, problems: list[Problem], message: str = "Some of what was sent can't be used.") -> None:
        super().__init__(message)
        self.problems = problems


class Conflict(AppError):
    """It clashes with what is there."""


class Changed(Conflict):
    """Somebody else changed it since it was looked at."""


class TooLarge(AppError):
    """It is larger than the limit."""


class Throttled(AppError):
    """Too often: try again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(AppError):
    """Not now: try again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after
