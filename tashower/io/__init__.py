"""Files: atomic writes, stamped HDF5, provenance, event and reconstruction files."""
