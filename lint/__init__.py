"""Checks of the project's language that no linter of code makes: run by `make lint`."""
