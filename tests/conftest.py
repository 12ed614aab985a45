"""What tests share: where known answers of other projects lie, and how patient hypothesis is."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("concord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("concord")

SHARED = Path(__file__).parents[2] / "shared" / "vectors"


@pytest.fixture(scope="session")
def shared_vectors() -> Path:
    """Known answers of other projects, which lie beside this one and not in it."""
    if not SHARED.is_dir():
        pytest.skip("the shared vectors do not lie beside this checkout (../shared/vectors)")
    return SHARED
