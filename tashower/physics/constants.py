"""Constants of nature and of the Telescope Array surface detector, each with its source.

Units everywhere in the package: metres, nanoseconds, radians, EeV, VEM, g/cm^2. Degrees appear only
in configurations, tables and plots.
"""

#: Speed of light [m/ns] (exact by definition of the metre, BIPM 2019).
SPEED_OF_LIGHT = 0.299792458

#: Reference distance of the signal S800 [m] (Ivanov et al. 2020, arXiv:2005.07117).
REFERENCE_DISTANCE = 800.0

#: Scale of the lateral distribution [m] (Ivanov et al. 2020, arXiv:2005.07117).
#: The TA spectrum fit uses 91.6 m instead (Abu-Zayyad et al. 2013, doi:10.1088/2041-8205/768/1/L1).
LATERAL_SCALE = 90.0

#: Scale of the outer steepening of the lateral distribution [m] (Ivanov et al. 2020,
#: arXiv:2005.07117).
OUTER_SCALE = 1000.0

#: Scale of the curvature of the shower front [m] (Ivanov et al. 2020, arXiv:2005.07117; Linsley
#: 1986).
FRONT_SCALE = 30.0

#: Area of a surface station [m^2] (Abu-Zayyad et al. 2012, NIM A 689, 87,
#: doi:10.1016/j.nima.2012.05.079).
STATION_AREA = 3.0

#: Width of a digitiser bin at 50 MHz [ns] (Abu-Zayyad et al. 2012, doi:10.1016/j.nima.2012.05.079).
BIN_WIDTH = 20.0

#: Bins in one digitiser window (Abu-Zayyad et al. 2012, doi:10.1016/j.nima.2012.05.079).
N_BINS = 128

#: Vertical atmospheric depth at the Telescope Array [g/cm^2] (Abu-Zayyad et al. 2012: about 1400 m
#: above sea level).
VERTICAL_DEPTH = 876.0
