"""Collisions with nitrogen, made once with chromo and kept in a file: Sibyll 2.3d at high energies,
UrQMD 3.4 at low ones.

Sibyll 2.3d: Riehn et al. 2020, doi:10.1103/PhysRevD.102.063002; UrQMD: Bleicher et al. 1999,
doi:10.1088/0954-3899/25/9/308; chromo: Dembinski, Fedynitch and Prosekin, doi:10.22323/1.444.0189.
"""

import tempfile
import time
import warnings
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cascade.particles import EM, KIND_OF_PDG, MASS, PI_ZERO
from tashower.physics.compiled import formula

#: Nodes of kinetic energy, log10(E/GeV): choices. Between two nodes a collision is taken from
#: either one, with a chance that is linear in the logarithm, and its energies are scaled; so UrQMD
#: hands over to Sibyll between 63 and 100 GeV (CORSIKA's default is 80 GeV).
FIRST_NODE, NODE_STEP, N_LOW, N_NODES = -0.4, 0.2, 12, 58

#: Projectiles, by the Particle Data Group's numbers, and how many collisions are made at every node
#: with either model: choices. Others are mapped onto these (`transport.projectile`).
PROJECTILES = (211, 2212, 321, -321, -2212)
N_COLLISIONS = {"UrQMD34": (3000, 2200, 700, 700, 500), "Sibyll23d": (1200, 1000, 400, 400, 250)}

#: Nothing below this kinetic energy [GeV] is kept: no muon of it reaches the ground.
_LEAST_KINETIC = 0.05
#: Nor are photons below this part of the projectile's energy: they only move Xmax.
_LEAST_EM = 1e-4

#: Nitrogen to air: cross-section per nucleus as A^0.7 (choice, between black and transparent), and
#: the mean mass number of air; 1 mb is 1e-27 cm^2, one unit of mass 1.66054e-24 g.
_A_AIR, _A_TARGET, _GRAM_MB = 14.54, 14.0, 1660.54


class Library(NamedTuple):
    """Secondaries of all collisions, one after the other.

    kind : int8 [n], energy, px, py : float32 [n], GeV, the projectile along z, pz > 0.
    first : int64 [n_collisions + 1], where a collision's secondaries begin.
    cell : int64 [projectile, node + 1], the first collision of a cell; its last is the next's.
    length, length_inelastic : float64 [projectile, node], interaction length in air [g/cm^2] for
    the production of particles, and for all inelastic collisions.
    """

    kind: np.ndarray
    energy: np.ndarray
    px: np.ndarray
    py: np.ndarray
    first: np.ndarray
    cell: np.ndarray
    length: np.ndarray
    length_inelastic: np.ndarray


@formula
def kinetic_at(node):
    """Kinetic energy [GeV] of a node."""
    return 10.0 ** (FIRST_NODE + NODE_STEP * node)


def interaction_length(cross_section: float) -> float:
    """Interaction length in air [g/cm^2] from a cross-section with nitrogen [mb]."""
    air = cross_section * (_A_AIR / _A_TARGET) ** 0.7
    return _GRAM_MB * _A_AIR / air


def _secondaries(event, energy: float) -> np.ndarray | None:
    """(kind, E, px, py) [4, n] of one collision; None if it holds a kind that is not known."""
    try:
        kind = np.array([KIND_OF_PDG[int(pid)] for pid in event.pid])
    except KeyError:
        known = np.isin(event.pid, list(KIND_OF_PDG) + [12, -12, 14, -14, 16, -16])
        if not known.all():
            return None
        event = event[np.isin(event.pid, list(KIND_OF_PDG))]
        kind = np.array([KIND_OF_PDG[int(pid)] for pid in event.pid])
    light = np.isin(kind, (EM, PI_ZERO))
    least = np.where(light, _LEAST_EM * energy, MASS[abs(kind)] + _LEAST_KINETIC)
    kept = (event.en > least) & (event.pz > 0.0)
    return np.stack([kind, event.en, event.px, event.py])[:, kept]


def _unchanged(made: np.ndarray, projectile: int, energy: float) -> bool:
    """Whether nothing came out but the projectile with all of its energy."""
    kind, found = made[0], made[1]
    through = (kind == KIND_OF_PDG[projectile]) & (found > 0.999 * energy)
    return bool(through.any())


def _collisions(generator, projectile: int, kinetic: float, n: int) -> list[np.ndarray]:
    """`n` collisions of a projectile with nitrogen-14."""
    from chromo.kinematics import FixedTarget

    energy = kinetic + MASS[abs(KIND_OF_PDG[projectile])]
    generator.kinematics = FixedTarget(energy, projectile, (14, 7))
    found: list[np.ndarray] = []
    while len(found) < n:
        for event in generator(n - len(found)):
            made = _secondaries(event.final_state(), energy)
            if made is not None and not _unchanged(made, projectile, energy):
                found.append(made)
    return found


def _generators(seed: int):
    """(Sibyll, UrQMD); the latter also below the 2 GeV that chromo's interface asks for."""
    import chromo
    from chromo.kinematics import FixedTarget

    class LowEnergy(chromo.models.UrQMD34):
        _ecm_min = 1.1

        def _set_kinematics(self, kin):
            super()._set_kinematics(kin)
            if int(kin.p1) == -2212:  # chromo 0.11 takes it for a nucleus of mass 1, a proton
                self._lib.inputs.prspflg, self._lib.sys.ap = 1, 1
                self._lib.inputs.spityp[0], self._lib.inputs.spiso3[0] = -1, -1

    start = FixedTarget(100.0, 2212, (14, 7))
    return chromo.models.Sibyll23d(start, seed=seed), LowEnergy(start, seed=seed)


def interaction_lengths(generator) -> tuple[np.ndarray, np.ndarray]:
    """(`length`, `length_inelastic`) of a library, from Sibyll's cross-sections.

    Those for production belong to its collisions: it makes none in which the nucleus alone breaks
    up (quasi-elastic), which the inelastic ones count. Below 100 GeV those at 100 GeV are kept, as
    the absorption cross-sections of nuclei are flat within some per cent down to a few GeV (Denisov
    et al. 1973, doi:10.1016/0550-3213(73)90351-9).
    """
    from chromo.kinematics import FixedTarget

    lengths = np.empty((2, len(PROJECTILES), N_NODES))
    for i, projectile in enumerate(PROJECTILES):
        mass = MASS[abs(KIND_OF_PDG[projectile])]
        for node in range(N_LOW, N_NODES):
            generator.kinematics = FixedTarget(kinetic_at(node) + mass, projectile, (14, 7))
            section = generator.cross_section()
            lengths[0, i, node] = interaction_length(float(section.prod))
            lengths[1, i, node] = interaction_length(float(section.inelastic))
    lengths[:, :, :N_LOW] = lengths[:, :, N_LOW : N_LOW + 1]
    return lengths[0], lengths[1]


def make_library(scale: float = 1.0, seed: int = 1) -> Library:
    """All collisions, `scale` times the default numbers; some minutes."""
    warnings.filterwarnings("ignore", message=".*haven't been decayed", category=RuntimeWarning)
    sibyll, urqmd = _generators(seed)
    cell = np.zeros((len(PROJECTILES), N_NODES + 1), dtype=np.int64)
    found: list[np.ndarray] = []
    for i, projectile in enumerate(PROJECTILES):
        for node in range(N_NODES):
            low = node < N_LOW
            name, generator = ("UrQMD34", urqmd) if low else ("Sibyll23d", sibyll)
            n = max(int(scale * N_COLLISIONS[name][i]), 2)
            # Few of them stand for one shower's particles at the highest energies, which are few.
            n = n if kinetic_at(node) < 1e6 else max(n // 3, 2)
            cell[i, node] = len(found)
            found.extend(_collisions(generator, projectile, kinetic_at(node), n))
        cell[i, N_NODES] = len(found)
    counts = [made.shape[1] for made in found]
    kind, energy, px, py = np.concatenate(found, axis=1)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    columns = (part.astype(np.float32) for part in (energy, px, py))
    return Library(kind.astype(np.int8), *columns, first, cell, *interaction_lengths(sibyll))


def load_library(path: Path, scale: float = 1.0) -> Library:
    """The library of a file, which is made first where it is not there."""
    if not path.exists():
        begin = time.process_time()
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            made = make_library(scale)  # UrQMD writes a file of tables where it runs
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(partial, **made._asdict())
        partial.replace(path)
        seconds = time.process_time() - begin
        print(f"library of {len(made.first) - 1:,} collisions: {seconds:.0f} s of processor time")
    with np.load(path) as file:
        return Library(**{name: file[name] for name in Library._fields})
