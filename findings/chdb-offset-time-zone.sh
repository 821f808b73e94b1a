#!/usr/bin/env bash
# chdb writes a time zone that is none where a stream had an offset.
#
# Seen 2026-12-01 with chdb 4.4.0 (chdb-core 26.9.0, the engine of ClickHouse) and streams of pyarrow 26.0.1. The time zone
# of a timestamp is a name of the tz database or an offset of the form +05:30. chdb reads both, but writes
# "Fixed/UTC+05:30:00" for the offset, which is neither: pyarrow cannot give the values of its own table back any more.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages chdb==4.4.0 chdb-core==26.9.0 pyarrow==26.0.1

zone_of() {
    python <<END
import chdb, pyarrow as pa, pyarrow.ipc as ipc
batch = pa.record_batch([pa.array([0], pa.timestamp("s", "$1"))], names=["t"])
with ipc.new_stream("times.arrows", batch.schema) as writer:
    writer.write_batch(batch)
copy = chdb.query("SELECT t FROM file('times.arrows', 'ArrowStream')", "ArrowStream").bytes()
print(ipc.open_stream(copy).schema.field("t").type.tz)
END
}

reads_well "Asia/Kolkata" "$(zone_of Asia/Kolkata)"
seen_as_before "+05:30" "Fixed/UTC+05:30:00" "$(zone_of +05:30)"
