import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(np.random.SeedSequence([20, 5, 7117]))
