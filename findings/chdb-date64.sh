#!/usr/bin/env bash
# chdb turns dates before 1970 and after 2106 into others if they count milliseconds.
#
# Seen 2026-12-01 with chdb 4.4.0 (chdb-core 26.9.0, the engine of ClickHouse) and streams of pyarrow 26.0.1. A date64 counts
# milliseconds in 64 bits. chdb reads it as a DateTime, which counts seconds in 32 bits, and what does not fit wraps around:
# 1969 becomes 2105 and 2299 becomes 2027, without an error. The same dates as date32, which counts days, are right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages chdb==4.4.0 chdb-core==26.9.0 pyarrow==26.0.1

years_of() {
    python <<END
from datetime import date
import chdb, pyarrow as pa, pyarrow.ipc as ipc
batch = pa.record_batch([pa.array([date(year, 7, 1) for year in (1969, 2026, 2299)], pa.$1())], names=["d"])
with ipc.new_stream("dates.arrows", batch.schema) as writer:
    writer.write_batch(batch)
print(*str(chdb.query("SELECT toYear(d) FROM file('dates.arrows', 'ArrowStream')", "CSV")).split())
END
}

reads_well "1969 2026 2299" "$(years_of date32)"
seen_as_before "1969 2026 2299" "2105 2026 2027" "$(years_of date64)"
