"""The pages a person opens in a browser, and the fragments that HTMX swaps into them."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("pages", __name__)


@bp.get("/")
def overview() -> str:
    """Show every room and the peers in it."""
    return render_template("overview.html")
