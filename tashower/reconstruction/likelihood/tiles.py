"""Products of small matrices for many rows at once, in vector instructions. Compiled.

LLVM makes vectors of the innermost loop only: the sums of a layer would go through memory once for
every few inputs, and a loop over twenty rows costs more to enter than to run. Here the sums of four
neurons for sixteen rows stay in registers over all inputs. Every product and every sum is rounded
for itself, in the order of the inputs, so that all processors find the same numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir  # numba brings the version that it needs
from numba.core import cgutils, config, types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

#: Rows of a tile: two vectors of AVX, one of AVX-512.
LANES = 16
#: Source and target have so many columns more than rows: a tile reads past the end of a span, and
#: writes what it read there back. Two threads may not share an array, even in other columns.
SPARE = LANES - 1

_LENGTH = ir.IntType(64)
_INDEX = ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


class _Matrix(NamedTuple):
    """A matrix in memory, as the instructions take it; strides in elements."""

    data: ir.Value
    strides: tuple[ir.Value, ir.Value]

    def row(self, builder: ir.IRBuilder, i: ir.Value) -> ir.Value:
        """Address of the first element of row i."""
        return builder.gep(self.data, [builder.mul(i, self.strides[0])])


def _matrix(context, builder, kind, value) -> _Matrix:
    array = make_array(kind)(context, builder, value)
    size = _LENGTH(kind.dtype.bitwidth // 8)
    strides = cgutils.unpack_tuple(builder, array.strides)
    return _Matrix(array.data, tuple(builder.sdiv(stride, size) for stride in strides))


def _in_all_lanes(builder, value):
    """A vector whose lanes all hold one number."""
    vector = ir.VectorType(value.type, LANES)
    first = builder.insert_element(vector(ir.Undefined), value, _INDEX(0))
    lanes = ir.VectorType(_INDEX, LANES)([0] * LANES)
    return builder.shuffle_vector(first, vector(ir.Undefined), lanes)


def _store(builder, pointers, values, before, left):
    """Put vectors into memory; if fewer than LANES are left, the other lanes get what they had."""
    lanes = ir.VectorType(_LENGTH, LANES)(list(range(LANES)))
    inside = builder.icmp_signed("<", lanes, _in_all_lanes(builder, left))
    whole = builder.icmp_signed(">=", left, _LENGTH(LANES))
    with builder.if_else(whole) as (all_lanes, some_lanes):
        with all_lanes:
            for pointer, value in zip(pointers, values, strict=True):
                builder.store(value, pointer, align=4)
        with some_lanes:
            for pointer, value, old in zip(pointers, values, before, strict=True):
                builder.store(builder.select(inside, value, old), pointer, align=4)


def _sums(builder, weights, sources, before, summed):
    """before[m] + sum over i of weights(m, i) sources(i), i from summed[0] to before summed[1]."""
    outside = builder.block
    loop, behind = builder.append_basic_block("inputs"), builder.append_basic_block("stored")
    builder.cbranch(builder.icmp_signed("<", summed[0], summed[1]), loop, behind)
    builder.position_at_end(loop)
    i = builder.phi(_LENGTH)
    i.add_incoming(summed[0], outside)
    sums = [builder.phi(_VECTOR) for _ in before]
    source, found = sources(i), []
    for m, (total, start) in enumerate(zip(sums, before, strict=True)):
        total.add_incoming(start, outside)
        product = builder.fmul(_in_all_lanes(builder, weights(m, i)), source)
        found.append(builder.fadd(total, product))
        total.add_incoming(found[m], loop)
    following = builder.add(i, _LENGTH(1))
    i.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, summed[1]), loop, behind)
    builder.position_at_end(behind)
    results = [builder.phi(_VECTOR) for _ in before]
    for result, start, value in zip(results, before, found, strict=True):
        result.add_incoming(start, outside)
        result.add_incoming(value, loop)
    return results


def _slowly(n_targets: int, swapped: bool) -> Callable:
    """What `_tile` gives, in numpy."""

    def tile(weight, source, target, at, summed):
        (j, first, left), inputs = at, slice(*summed)
        neurons, columns = slice(j, j + n_targets), slice(first, first + min(left, LANES))
        of = weight[inputs, neurons].T if swapped else weight[neurons, inputs]
        target[neurons, columns] += of @ source[inputs, columns]

    return tile


def _tile(n_targets: int, swapped: bool) -> Callable:
    """A function for `compiled` loops, of matrices in single precision: target[j + m] += sum over i
    of weight[j + m, i] source[i] for m < n_targets and a tile of columns; swapped: of weight[i, j +
    m].
    """
    if config.DISABLE_JIT:
        return _slowly(n_targets, swapped)

    @intrinsic
    def tile(_, weight, source, target, at, summed):
        """at : (j, first column, columns that are left); summed : (first i, behind the last)."""
        if any(a.ndim != 2 or a.dtype != types.float32 for a in (weight, source, target)):
            raise TypingError("tiles are of matrices in single precision")
        if source.layout != "C" or target.layout != "C":
            raise TypingError("columns of tiles stand next to each other in memory")

        def generate(context, builder, signature, arguments):
            w, s, t = (
                _matrix(context, builder, kind, value)
                for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
            )
            j, k, left = cgutils.unpack_tuple(builder, arguments[3])
            if swapped:
                w = w._replace(strides=w.strides[::-1])

            def vector_of(matrix, row):
                first = builder.gep(matrix.row(builder, row), [k])
                return builder.bitcast(first, _VECTOR.as_pointer())

            def weight_of(m, i):
                return builder.load(builder.gep(of[m], [builder.mul(i, w.strides[1])]))

            targets = [builder.add(j, _LENGTH(m)) for m in range(n_targets)]
            of = [w.row(builder, row) for row in targets]
            pointers = [vector_of(t, row) for row in targets]
            before = [builder.load(pointer, align=4) for pointer in pointers]
            found = _sums(
                builder,
                weight_of,
                lambda i: builder.load(vector_of(s, i), align=4),
                before,
                cgutils.unpack_tuple(builder, arguments[4]),
            )
            _store(builder, pointers, found, before, left)
            return context.get_dummy_value()

        return types.void(weight, source, target, at, summed), generate

    return tile


#: target[j : j + 4] += weight[j : j + 4] source and so on, see `_tile`.
four_rows, two_rows = _tile(4, False), _tile(2, False)
four_columns, two_columns = _tile(4, True), _tile(2, True)
