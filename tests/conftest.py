import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(np.random.SeedSequence([20, 5, 7117]))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """The names of what failed once more, last: a log may be kept from its end on only, and a
    difference can be long.
    """
    yield
    failed = terminalreporter.getreports("failed") + terminalreporter.getreports("error")
    for report in failed:
        terminalreporter.write_line(f"{report.outcome}: {report.nodeid}")
