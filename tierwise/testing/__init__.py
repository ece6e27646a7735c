"""Test suites that ship with the product, so that an outside driver or constraint can prove itself.

Needs pytest; nothing of the running product imports this package.
"""

import pytest

# Failing promises show the values they compared, as test files do.
pytest.register_assert_rewrite("tierwise.testing.promises", "tierwise.testing.constraints.promises")
