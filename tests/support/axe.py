"""What axe-core, which knows the rules of accessible pages, says of one."""

from __future__ import annotations

from typing import Any

from tests.support import needs
from tests.support.visitors import Visitor


def findings(visitor: Visitor, *, colours_only: bool = False) -> list[str]:
    """Return what axe-core finds on the page: all of it, or what colours alone can do wrong."""
    visitor.page.evaluate(needs.axe_core())
    rules = {"runOnly": ["color-contrast", "link-in-text-block"]} if colours_only else {}
    violations: list[Any] = visitor.page.evaluate(
        "(rules) => axe.run(document, rules).then((run) => run.violations)", rules
    )
    return [
        f"{found['impact']} {found['id']}: {[node['target'] for node in found['nodes']]}"
        for found in violations
    ]
