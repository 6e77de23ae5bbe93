"""The HDF5 library and its filters, in words."""

import h5py
import hdf5plugin


def describe_hdf5() -> str:
    """Version of HDF5, and the filters that its files may be packed with."""
    config = hdf5plugin.get_config()
    filters = ", ".join(sorted(config.registered_filters))
    return f"HDF5 {h5py.version.hdf5_version}; filters: {filters or 'none'}"


def has_filter() -> bool:
    """Whether waveforms can be packed and unpacked as event files have them."""
    return "bshuf" in hdf5plugin.get_config().registered_filters
