#!/usr/bin/env bash
# nanoarrow gives negative decimals as huge positive numbers.
#
# Seen 2026-12-01 with nanoarrow 0.9.0 (Python) and streams of pyarrow 26.0.1. Decimals are two's complement integers of
# 128 or 256 bits. `to_pylist` takes them for unsigned: -1.25 comes out as 3.402823669E+36. The same array handed on to
# pyarrow through the C interface is right, so the bytes were read well.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages nanoarrow==0.9.0 pyarrow==26.0.1

read_with() {
    python <<END
import io
from decimal import Decimal
import nanoarrow, pyarrow as pa, pyarrow.ipc as ipc
table = pa.table({"d": pa.array([Decimal("-1.25"), Decimal("3.50")], pa.decimal128(10, 2))})
stream = io.BytesIO()
with ipc.new_stream(stream, table.schema) as writer:
    writer.write_table(table)
read = nanoarrow.ArrayStream.from_readable(io.BytesIO(stream.getvalue()))
rows = pa.table(read).to_pylist() if "$1" == "pyarrow" else read.read_all().to_pylist()
print(*(row["d"] for row in rows))
END
}

reads_well "-1.25 3.50" "$(read_with pyarrow)"
seen_as_before "-1.25 3.50" "3.402823669E+36 3.50" "$(read_with nanoarrow)"
