"""The schema's versions, inside the package so that a wheel can migrate."""
