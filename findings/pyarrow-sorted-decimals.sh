#!/usr/bin/env bash
# pyarrow sorts a table by the bytes of its 32-bit and 64-bit decimals.
#
# Seen 2026-12-01 with pyarrow 26.0.1. A decimal is a two's complement integer, little-endian. `Table.sort_by` with two keys,
# and `select_k_unstable` with it, compare the bytes from the first on: 1.25 (7d 00 ...) comes before -3.50 (a2 fe ...).
# Wider decimals are in order, and comparisons such as `less` are right for all widths.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1

sorted_with() {
    python <<END
from decimal import Decimal
import pyarrow as pa
column = pa.array([Decimal("1.25"), Decimal("-3.50"), Decimal("0.00"), Decimal("-9.00")], pa.$1(7, 2))
table = pa.table({"d": column, "n": [1, 2, 3, 4]})
print(*table.sort_by([("d", "ascending"), ("n", "ascending")])["d"].to_pylist())
END
}

reads_well "-9.00 -3.50 0.00 1.25" "$(sorted_with decimal128)"
for type in decimal32 decimal64; do
    seen_as_before "-9.00 -3.50 0.00 1.25" "0.00 -9.00 1.25 -3.50" "$(sorted_with $type)"
done
