"""What axe-core, which knows the rules of accessible pages, says of one."""

from __future__ import annotations

from typing import Any

from tests.support import needs
from tests.support.visitors import Visitor

# What colours alone can do wrong. Only they differ in the dark, and only by what the style sheets
# make of the scheme, so that a page need not be opened anew for it.
_OF_COLOURS = ["color-contrast", "link-in-text-block"]


def findings(visitor: Visitor) -> list[str]:
    """Return what axe-core finds on the page, in light colours and in dark ones."""
    visitor.page.evaluate(needs.axe_core())
    found = _found(visitor, "light", {})
    found += _found(visitor, "dark", {"runOnly": _OF_COLOURS})
    visitor.page.emulate_media(color_scheme="light")
    return found


def _found(visitor: Visitor, scheme: Any, rules: dict[str, Any]) -> list[str]:
    visitor.page.emulate_media(color_scheme=scheme)
    violations: list[Any] = visitor.page.evaluate(
        "(rules) => axe.run(document, rules).then((run) => run.violations)", rules
    )
    return [
        f"{scheme}: {found['impact']} {found['id']}: {[node['target'] for node in found['nodes']]}"
        for found in violations
    ]
