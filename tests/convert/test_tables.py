"""Plain tables of anyone's array."""

import numpy as np
import pytest
from damage import fuzz

from tashower.cli import main
from tashower.convert.convert import convert
from tashower.errors import InputError
from tashower.io.event_file import read_events

STATIONS = "station,x_m,y_m,z_m\n" + "".join(
    f"{10 * i + j},{i * 100},{j * 100},{i}\n" for i in range(4) for j in range(4)
)
HITS = (
    "event,station,time_ns,signal_vem,saturated\n"
    "7,11,100.5,3.5,0\n7,12,220,2,1\n3,33,5,1.5,0\n7,22,300,9,0\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "stations.csv").write_text(STATIONS)
    (tmp_path / "hits.csv").write_text(HITS)
    (tmp_path / "header.yaml").write_text("area_m2: 0.5\nlayers: 1\n")
    return tmp_path


def test_hits_become_events(folder):
    events = convert([folder / "header.yaml"])
    assert events.array.kind == "square"
    assert events.array.spacing == pytest.approx(100.0)
    assert (events.array.detector.area, events.array.detector.n_layers) == (0.5, 1)
    np.testing.assert_array_equal(events.event_id, [3, 7])
    np.testing.assert_array_equal(np.diff(events.hit_offset), [1, 3])
    np.testing.assert_array_equal(events.array.station_id[events.hit_station], [33, 11, 12, 22])
    np.testing.assert_allclose(events.hit_time, [0, 0, 119.5, 199.5])
    np.testing.assert_allclose(events.pulses.signal[:, 0], [1.5, 3.5, 2, 9])
    np.testing.assert_array_equal(events.pulses.saturated, [False, False, True, False])
    assert events.waveform is None
    assert events.truth is None


def test_two_tables_without_a_header(folder):
    assert convert([folder / "stations.csv", folder / "hits.csv"]).n_hits == 4


def test_waveforms_and_layers(folder, rng):
    wave = rng.integers(0, 500, (4, 60, 2)).astype(np.uint16)
    np.save(folder / "w.npy", wave)
    (folder / "header.yaml").write_text(
        "layers: 2\nwaveforms: w.npy\npedestal: 5\ncounts_per_vem: 40\nbin_width_ns: 25\n"
    )
    events = convert([folder / "header.yaml"])
    np.testing.assert_array_equal(events.waveform, wave[[2, 0, 1, 3]])
    assert (events.pedestal == 5).all()
    assert (events.counts_per_vem == 40).all()
    assert (events.array.detector.bin_width, events.array.detector.n_bins) == (25.0, 60)


def test_layers_have_their_own_signal(folder):
    (folder / "hits.csv").write_text(
        "event,station,time_ns,signal_upper_vem,signal_lower_vem\n1,11,0,3,4\n"
    )
    (folder / "header.yaml").write_text("layers: 2\n")
    np.testing.assert_array_equal(convert([folder / "header.yaml"]).pulses.signal, [[3, 4]])


@pytest.mark.extra
def test_parquet_gives_the_same(folder):
    csv, parquet = pytest.importorskip("pyarrow.csv"), pytest.importorskip("pyarrow.parquet")
    for name in ("stations", "hits"):
        parquet.write_table(csv.read_csv(folder / f"{name}.csv"), folder / f"{name}.parquet")
    a, b = (
        convert([folder / "header.yaml"]),
        convert([folder / "stations.parquet", folder / "hits.parquet"]),
    )
    np.testing.assert_array_equal(a.hit_time, b.hit_time)


def test_hits_fit_on_an_irregular_array(folder, rng):
    """A shower of HiSPARC's size on stations that stand on no lattice."""
    from tashower.calibration.calibration import DEFAULT, read_calibration
    from tashower.config import load_config
    from tashower.physics.geometry import axis_components, plane_delay
    from tashower.reconstruction.reconstruct import reconstruct

    position = np.column_stack([rng.uniform(-3000, 3000, (25, 2)), np.zeros(25)])
    (folder / "stations.csv").write_text(
        "station,x_m,y_m\n" + "".join(f"{i},{x},{y}\n" for i, (x, y, _) in enumerate(position))
    )
    delay = plane_delay(*position.T, *axis_components(0.5, 1.0))
    r = np.hypot(*position[:, :2].T)
    signal = 3 * 80 * (np.maximum(r, 100) / 800) ** -3.5
    rows = [
        f"1,{i},{t},{s}\n"
        for i, (t, s) in enumerate(zip(delay + 3e-7 * r**2.6, signal, strict=True))
        if s > 2
    ]
    (folder / "hits.csv").write_text("event,station,time_ns,signal_vem\n" + "".join(rows))
    events = convert([folder / "stations.csv", folder / "hits.csv"])
    assert events.array.kind == "irregular"
    fit = reconstruct(events, read_calibration(DEFAULT), load_config().reconstruction)[0][
        "constrained"
    ]
    assert fit.valid[0]
    assert np.degrees(abs(fit.zenith[0] - 0.5)) < 5


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("hits.csv", "7,12,", "7,99,", "station 99 is not in the list"),
        ("hits.csv", "7,12,", "7,11,", "station 11 has two hits"),
        ("hits.csv", "220", "nan", "its time is not a number"),
        ("hits.csv", "220", "later", "line 3: time_ns = 'later'"),
        ("hits.csv", "3.5", "inf", "signal is not a number"),
        ("hits.csv", "7,12,220,2,1", "7,12,220", "line 3: 3 entries"),
        ("hits.csv", "time_ns", "time_s", "no column 'time_ns'"),
        ("hits.csv", HITS, "", "does not name the columns"),
        ("hits.csv", "7,11", "7.5,11", "line 2: event = '7.5'"),
        ("stations.csv", "11,100,100", "12,100,100", "station 12 is there twice"),
        ("stations.csv", "11,100,100,1", "11,nan,100,1", "station 11: its position"),
        ("stations.csv", "11,100,100,1", "11,100,200,1", "same place"),
        ("header.yaml", "area_m2: 0.5", "area: 0.5", "unknown key 'area'"),
        ("header.yaml", "area_m2: 0.5", "area_m2: big", "area_m2: 'big'"),
        ("header.yaml", "area_m2: 0.5", "area_m2: -1", "not a positive number"),
        ("header.yaml", "layers: 1", "layers: 3", "layers: 3"),
        ("header.yaml", "layers: 1", "layers: [", "not YAML"),
        ("header.yaml", "layers: 1", "layers: " + "[" * 5000, "not YAML"),
        ("header.yaml", "layers: 1", "hits: none.csv", "none.csv: no such file"),
        ("header.yaml", "layers: 1", f"hits: {300 * 'a'}.csv", "longer than the name of any file"),
        ("header.yaml", "layers: 1", "waveforms: w.npy", "w.npy: no such file"),
    ],
)
def test_bad_tables_are_one_message_and_leave_nothing(folder, file, old, new, message, capsys):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        convert([folder / "header.yaml"])
    assert message in str(error.value)
    assert main(["convert", str(folder / "header.yaml"), "--to", str(folder / "o.h5")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (folder / "o.h5").exists()


def test_waveforms_that_do_not_fit_are_refused(folder):
    header = folder / "header.yaml"
    header.write_text("waveforms: w.npy\npedestal: 5\ncounts_per_vem: 40\n")
    for bad in (
        np.zeros((3, 60), np.uint16),
        np.zeros((4, 60, 2), np.uint16),
        np.full((4, 60), -1.0),
        np.full((4, 60), np.nan),
    ):
        np.save(folder / "w.npy", bad)
        with pytest.raises(InputError, match=r"w\.npy"):
            convert([header])
    np.save(folder / "w.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"w\.npy"):
        convert([header])


def test_command_line(folder, capsys):
    assert main(["convert", str(folder / "header.yaml"), "--to", str(folder / "o.h5")]) == 0
    assert "square lattice" in capsys.readouterr().out
    assert read_events(folder / "o.h5").n_hits == 4


@pytest.mark.slow
def test_an_event_of_a_million_hits_is_refused(folder):
    lines = HITS.splitlines()
    (folder / "hits.csv").write_text("\n".join([lines[0], *[lines[1]] * 10**6]))
    with pytest.raises(InputError, match="1000000 hits"):
        convert([folder / "stations.csv", folder / "hits.csv"])


def test_damaged_tables(rng, folder):
    assert fuzz(rng, folder, HITS.encode(), ".csv", 100, [folder / "stations.csv"]) > 20


@pytest.mark.slow
def test_a_thousand_damaged_tables(rng, folder):
    assert fuzz(rng, folder, HITS.encode(), ".csv", 1000, [folder / "stations.csv"]) > 200
