"""What axe-core, which knows the rules of accessible pages, says of one."""

from __future__ import annotations

from typing import Any

from tests.support import needs
from tests.support.visitors import Visitor


def findings(visitor: Visitor) -> list[str]:
    """Return what axe-core finds on the page."""
    visitor.page.evaluate(needs.axe_core())
    violations: list[Any] = visitor.page.evaluate("axe.run(document).then((run) => run.violations)")
    return [
        f"{found['impact']} {found['id']}: {[node['target'] for node in found['nodes']]}"
        for found in violations
    ]
