"""Copies of workspaces that stand for the workspace itself, as after a kill."""

from __future__ import annotations

from pathlib import Path

from Departments.ledger.generations import AMONG_MESSAGES


def take_the_place(copied: Path, original: Path) -> None:
    """Let the mark of a copied workspace name its new folder."""
    mark = copied / AMONG_MESSAGES
    if mark.exists():
        text = mark.read_bytes().replace(f" {original.resolve()}\n".encode(), f" {copied.resolve()}\n".encode())
        mark.unlink()  # it may be another name of the original's
        mark.write_bytes(text)
