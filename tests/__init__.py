"""The tests, in rooms named after what they test; what several rooms use is in `support`."""

import pytest

# So that what helps tells as much as the tests themselves when an assertion of its fails.
pytest.register_assert_rewrite("local_cluster", "tests.support")
