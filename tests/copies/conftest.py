"""What the tests of backups share."""

from __future__ import annotations

import pytest

from tests.copies.kept import Kept


@pytest.fixture(scope="package")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"))
