#!/usr/bin/env bash
# datafusion cuts 32-bit and 64-bit decimals to integers when it computes with integers.
#
# Seen 2026-12-01 with datafusion 55.0.0 (Python) and tables of pyarrow 26.0.1. The width of a decimal says nothing about its
# value. 1.25 + 1 is 2.25 with 128 bits; with 32 or 64 it is 2, a BIGINT, and 1.25 / 2 is 0, without an error. Small decimals
# among themselves are right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages datafusion==55.0.0 pyarrow==26.0.1

computed_with() {
    python <<END
from decimal import Decimal
import datafusion, pyarrow as pa
context = datafusion.SessionContext()
context.from_arrow(pa.table({"d": pa.array([Decimal("1.25")], pa.$1(7, 2))}), "prices")
row = context.sql("SELECT d + d, d + 1, d / 2 FROM prices").to_arrow_table().to_pylist()[0]
print(*(float(value) for value in row.values()))
END
}

reads_well "2.5 2.25 0.625" "$(computed_with decimal128)"
for type in decimal32 decimal64; do
    seen_as_before "2.5 2.25 0.625" "2.5 2.0 0.0" "$(computed_with $type)"
done
