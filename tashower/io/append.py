"""An event file written part by part: of any number of events in constant memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from tashower.events.array import Array
from tashower.events.model import Events
from tashower.io.event_file import EVENT_VERSION, array_columns, event_attributes, event_groups
from tashower.io.hdf5 import create_column, new_file
from tashower.types import FilePath

_ROWS = 1 << 20  # stations that are renumbered at once
_EVENTS = 50_000  # events whose hits are looked at once


class EventFile:
    """An event file that grows: `append` parts, then say on which `array` they were measured
    (`finish`).
    """

    def __init__(self, file):
        self._file = file
        self._known = set()
        self.n_events = self.n_hits = 0

    def append(self, part: Events) -> None:
        """Add events; all parts have the same tables."""
        groups = event_groups(part)
        n_dead = self._file["events/dead_station"].shape[0] if self._known else 0
        begins = {"hit_offset": self.n_hits, "dead_offset": n_dead}
        for group_name, columns in groups.items():
            group = self._file.require_group(group_name)
            for name, column in columns.items():
                if column is None:
                    continue
                if name in begins:
                    column = column[1 if self._known else 0 :] + begins[name]
                if name not in group:
                    create_column(group, name, np.asarray(column), growing=True)
                else:
                    dataset = group[name]
                    dataset.resize(len(dataset) + len(column), axis=0)
                    dataset[len(dataset) - len(column) :] = column
        self._known = set(groups)
        self.n_events += part.n_events
        self.n_hits += part.n_hits

    def finish(self, array: Array, index_of: np.ndarray | None = None) -> None:
        """Write the array; index_of: the index in it of every station index of the parts, where
        that differs.

        Tables of truth and of the standard reconstruction in which no event has anything, and marks
        of rejected hits where there are none, are left out again.
        """
        for name, column in array_columns(array).items():
            create_column(self._file.require_group("array"), name, np.asarray(column))
        self._file.attrs.update(event_attributes(array))
        if index_of is not None:
            for name in ("hits/hit_station", "events/dead_station"):
                dataset = self._file[name]
                for begin in range(0, len(dataset), _ROWS):
                    dataset[begin : begin + _ROWS] = index_of[dataset[begin : begin + _ROWS]]
        for name in {"truth", "standard"} & self._known:
            if not self._says_something(self._file[name]):
                del self._file[name]
        if "hits/rejected" in self._file and not self._any("hits/rejected"):
            del self._file["hits/rejected"]

    def _any(self, name: str) -> bool:
        """Whether a column of truths has one that is true."""
        column = self._file[name]
        return any(column[k : k + _ROWS].any() for k in range(0, len(column), _ROWS))

    def hits(self) -> Iterator[tuple]:
        """(event_id, hit_offset from 0, hit_station, hit_time) of some events after each other,
        without rejected hits.
        """
        offset = self._file["events/hit_offset"]
        for begin in range(0, self.n_events, _EVENTS):
            end = min(begin + _EVENTS, self.n_events)
            here = offset[begin : end + 1]
            rows = slice(int(here[0]), int(here[-1]))
            used = np.ones(rows.stop - rows.start, bool)
            if "hits/rejected" in self._file:
                used = ~self._file["hits/rejected"][rows]
            before = np.concatenate([[0], np.cumsum(used)])
            yield (
                self._file["events/event_id"][begin:end],
                before[here - here[0]],
                self._file["hits/hit_station"][rows][used],
                self._file["hits/hit_time"][rows][used],
            )

    @staticmethod
    def _says_something(group) -> bool:
        columns = [group[name] for name in ("energy", "zenith")]
        return any(
            np.isfinite(column[begin : begin + _ROWS]).any()
            for column in columns
            for begin in range(0, len(column), _ROWS)
        )


@contextmanager
def event_file(
    path: FilePath, configuration: dict, inputs: Sequence[FilePath] = (), stage: str = ""
) -> Iterator[EventFile]:
    """An `EventFile` that takes its name when the block ends well, after `finish`."""
    with new_file(path, "events", EVENT_VERSION, configuration, inputs, stage) as file:
        yield EventFile(file)
