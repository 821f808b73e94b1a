#!/usr/bin/env bash
# nanoarrow drops all rows of a struct that has no fields.
#
# Seen 2026-12-01 with nanoarrow 0.9.0 (Python) and streams of pyarrow 26.0.1. Such an array has a length and a validity
# bitmap, and no children. `to_pylist` walks through the children to count rows, and gives an empty list where the format
# has two empty structs and a null. The array knows its length.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages nanoarrow==0.9.0 pyarrow==26.0.1

read_with() {
    python <<END
import io
import nanoarrow, pyarrow as pa, pyarrow.ipc as ipc
column = pa.array([{}, {}, None], pa.struct([]))
batch = pa.record_batch([column], names=["s"])
stream = io.BytesIO()
with ipc.new_stream(stream, batch.schema) as writer:
    writer.write_batch(batch)
array = nanoarrow.ArrayStream.from_readable(io.BytesIO(stream.getvalue())).read_all().child(0)
print(len(array) if "$1" == "length" else array.to_pylist())
END
}

reads_well "3" "$(read_with length)"
seen_as_before "[{}, {}, None]" "[]" "$(read_with rows)"
