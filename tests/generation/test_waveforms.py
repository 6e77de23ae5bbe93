"""Waveforms in fewer numbers, and back."""

import numpy as np
import pytest

from tashower.generation.waveforms import (
    Form,
    edges_of,
    form_of,
    parts_of,
    read_windows,
    sums_of,
    values_of,
    waveforms_of,
)
from tashower.physics.unread import pedestal_count

PEDESTAL, GAIN = np.array([[6.2, 5.9]]), np.array([[39.0, 41.0]])


def test_groups_are_single_bins_at_the_edge_and_longer_elsewhere():
    edges = edges_of(256, 128, 28)
    sizes = dict(zip(edges[:-1], np.diff(edges), strict=True))
    assert (edges[0], edges[-1]) == (0, 256)
    assert set(sizes.values()) == {1, 2, 4, 8}
    assert all(sizes[bin_] == 1 for bin_ in range(20, 44))
    assert [sizes[bin_] for bin_ in (0, 44, 90, 92)] == [4, 2, 2, 4]
    assert 128 in edges  # no group reaches over the end of a window
    assert sizes[128] == 8


@pytest.mark.parametrize(("n_bins", "window"), [(1, 1), (30, 30), (40, 40), (256, 128), (300, 100)])
@pytest.mark.parametrize("leading", [0, 5, 28, 299])
def test_groups_cover_every_waveform(n_bins, window, leading):
    edges = np.array(edges_of(n_bins, window, leading))
    assert (edges[0], edges[-1]) == (0, n_bins)
    assert (np.diff(edges) > 0).all()
    assert set(range(0, n_bins, window)) <= set(edges)


def test_of_single_bins_the_counts_come_back(rng):
    form = Form(tuple(range(65)), (0, 64), 64, 0.02)
    waveform = rng.integers(0, 4096, (50, 64, 2)).astype(np.uint16)
    waveform[:10] = rng.poisson(6, (10, 64, 2))
    station = np.repeat(PEDESTAL, 50, 0), np.repeat(GAIN, 50, 0)
    waveform[20, 30:34] = 4095  # saturated: stays so
    values = values_of(waveform, *station, form, rng)
    shown = np.array([0, 20])
    light = np.sinh(values.astype(float)) * form.scale[:, None]
    # The sums asked for are those of the dithered counts: then nothing is scaled.
    asked = np.arcsinh(light.sum(axis=1, keepdims=True) / form.scale_of_parts)
    again = waveforms_of(values.astype(float), asked, station, form, np.zeros((50, 64, 2)))
    np.testing.assert_array_equal(again[shown], waveform[shown])
    assert (np.abs(again.astype(int) - waveform) <= 1).all()  # float32 of 4000 counts


def test_groups_keep_their_sum_whatever_the_noise(rng):
    form = Form(edges_of(256, 128, 28), (0, 44, 92, 128), 128, 0.02)
    time = np.arange(256)[:, None] - 28.0
    pulse = 400.0 * np.where(time > 0, time * np.exp(-time / 20.0) / 20.0, 0.0)
    waveform = np.rint(np.repeat(pulse[None], 2, 2) + 6.0 + rng.normal(0, 1, (1, 256, 2)))
    waveform = np.maximum(waveform, 0).astype(np.uint16)
    values = values_of(waveform, PEDESTAL, GAIN, form, rng).astype(float)
    light = np.sinh(values) * form.scale[:, None]
    ends = [form.edges.index(bin_) for bin_ in form.parts[:-1]]
    wanted = np.add.reduceat(light[:, : form.edges.index(128)], ends, axis=1)
    asked = np.arcsinh(wanted / form.scale_of_parts[:, None])
    for noise in (np.zeros((1, 256, 2)), rng.standard_normal((1, 256, 2))):
        again = waveforms_of(values, asked, (PEDESTAL, GAIN), form, noise)
        bins = (again - PEDESTAL[:, None]) / GAIN[:, None]
        sums = np.add.reduceat(bins, form.edges[:-1], axis=1)
        rounding = 0.5 * form.sizes[:, None] / GAIN[:, None]
        assert (np.abs(sums - light) <= rounding + 1e-6).all()
        assert np.abs(again.astype(float) - waveform)[:, 20:].std() < 3.0
    more = np.arcsinh(wanted * [[[1.3], [1.0], [1.0]]] / form.scale_of_parts[:, None])
    other = waveforms_of(values, more, (PEDESTAL, GAIN), form, noise)
    part = (other - PEDESTAL[:, None])[:, :44].sum() / (again - PEDESTAL[:, None])[:, :44].sum()
    assert part == pytest.approx(1.3, abs=0.01)
    np.testing.assert_array_equal(other[:, 44:], again[:, 44:])


def test_sums_are_those_of_the_parts_and_noise_does_not_grow(rng):
    form = Form(edges_of(256, 128, 28), parts_of(128, 28), 128, 0.02)
    assert form.parts == (0, 44, 92, 128)
    assert set(form.parts) <= set(form.edges)
    assert parts_of(40, 28) == (0, 40)
    waveform = rng.poisson(20, (3, 256, 2)).astype(np.uint16)
    found = np.sinh(sums_of(waveform, PEDESTAL, GAIN, form)) * form.scale_of_parts[:, None]
    by_hand = (waveform[:, 44:92] - PEDESTAL[:, None]).sum(axis=1) / GAIN
    np.testing.assert_allclose(found[:, 1], by_hand, rtol=1e-4)
    quiet = np.zeros((1, len(form.sizes), 2))
    noise = rng.standard_normal((1, 256, 2))
    none = np.zeros((1, 3, 2))
    usual = waveforms_of(quiet, none, (PEDESTAL, GAIN), form, noise)
    asked = waveforms_of(quiet, none + 1.0, (PEDESTAL, GAIN), form, noise)
    assert asked.std() < 1.6 * usual.std()


def test_where_nothing_was_read_the_pedestal_stands_and_windows_begin_as_simulated():
    pedestal = np.repeat(PEDESTAL, 3, 0)
    waveform = np.full((3, 256, 2), 6, np.uint16)
    waveform[:, 20:60] = 100
    waveform[:, 190:200] = 50  # crosses level 0 again in bin 190
    before = waveform.copy()
    unread = pedestal_count(np.arange(256)[:, None], PEDESTAL)
    waveform[2, 190:200] = 6  # never again, but a window was read
    read_windows(waveform, pedestal, np.array([False, True, True]), 128)
    np.testing.assert_array_equal(waveform[:, :128], before[:, :128])
    np.testing.assert_array_equal(waveform[0, 128:], unread[128:])
    np.testing.assert_array_equal(waveform[1, 128:160], unread[128:160])
    np.testing.assert_array_equal(waveform[1, 160:], before[1, 160:])  # 190 - 30
    np.testing.assert_array_equal(waveform[2, 128:], np.full((128, 2), 6))


def test_noise_and_edge_are_those_of_the_events(learned):
    form = form_of(learned.events["train"], 128)
    assert form.noise == pytest.approx(0.8 / 39.4, rel=0.15)  # 0.75 and rounding, in counts
    assert (form.window, form.edges[-1]) == (128, 256)
