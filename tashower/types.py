"""Types that many signatures name."""

from os import PathLike

#: A path as text or as `pathlib.Path`.
FilePath = str | PathLike
