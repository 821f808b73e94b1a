#!/usr/bin/env bash
# nanoarrow takes the bytes of a compressed dictionary batch for its values.
#
# Seen 2026-11-30 with nanoarrow 0.9.0 (Python) and streams of pyarrow 26.0.1. `IpcWriteOptions(compression=...)` compresses
# dictionary batches as well as record batches, and the format allows it. nanoarrow decompresses record batches, but reads
# the length prefix and the frame of a compressed dictionary as numbers, without an error.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages nanoarrow==0.9.0 pyarrow==26.0.1

read_with() {
    python <<END
import io
import nanoarrow, pyarrow as pa, pyarrow.ipc as ipc
keys = pa.array([0, 1, 2], pa.int32())
table = pa.table({"n": pa.DictionaryArray.from_arrays(keys, pa.array([10, 20, 30], pa.int64()))})
stream = io.BytesIO()
with ipc.new_stream(stream, table.schema, options=ipc.IpcWriteOptions(compression=$1)) as writer:
    writer.write_table(table)
rows = nanoarrow.ArrayStream.from_readable(io.BytesIO(stream.getvalue())).read_all().to_pylist()
# The first eight bytes of the buffer are its length, 24. What follows depends on the codec.
print(rows[0]["n"], rows[1]["n"] == 20)
END
}

reads_well "10 True" "$(read_with None)"
for codec in '"lz4"' '"zstd"'; do
    seen_as_before "10 True" "24 False" "$(read_with "$codec")"
done
