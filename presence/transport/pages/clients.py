"""The clients that fit this server: the page that says how to install them, and the packages."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.exceptions import NotFound

from presence.config import VERSION
from presence.transport.admission.security_headers import protect_page
from presence.transport.pages.packages import client_packages
from presence.transport.pages.packages.client_packages import Package
from presence.transport.wire.needs import public

bp = Blueprint("clients", __name__, url_prefix="/clients")


@bp.get("")
@public
def clients_page() -> Response:
    """Show how to install each client, and the lines to begin with."""
    python = client_packages.python()
    page = render_template(
        "clients.html",
        version=VERSION,
        server=request.root_url.rstrip("/"),
        javascript=_address("presence-client.tgz"),
        python=_address(python.name) if python else None,
    )
    return protect_page(make_response(page))


@bp.get("/presence-client.tgz")
@public
def javascript_package() -> Response:
    """Return the JavaScript client, for ``npm install``."""
    return _download(client_packages.javascript(), "application/gzip")


@bp.get("/<name>.whl")
@public
def python_package(name: str) -> Response:
    """Return the Python client, for ``pip install``: there is one, of the server's own version."""
    package = client_packages.python()
    if package is None or package.name != f"{name}.whl":
        raise NotFound
    return _download(package, "application/zip")


def _address(name: str) -> str:
    return url_for("clients.clients_page", _external=True) + f"/{name}"


def _download(package: Package, mimetype: str) -> Response:
    response = Response(package.content, mimetype=mimetype)
    response.headers["Content-Disposition"] = f"attachment; filename={package.name}"
    # The address stays when the server, and with it the package, becomes another.
    response.cache_control.no_cache = True
    response.set_etag(package.etag)
    response.make_conditional(request)
    return response
