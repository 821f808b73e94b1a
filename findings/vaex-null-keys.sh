#!/usr/bin/env bash
# vaex gives null rows of a dictionary of lists or structs the last value of the dictionary.
#
# Seen 2026-12-01 with vaex-core 4.19.0 and files of pyarrow 26.0.1. A null key is a null row, whatever the dictionary's
# values are. With strings as values vaex has None; with lists or structs it has the dictionary's last value, without an
# error.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages vaex-core==4.19.0 pyarrow==26.0.1

read_with() {
    python <<END
import pyarrow as pa, pyarrow.ipc as ipc, vaex
column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array($1))
batch = pa.record_batch([column], names=["c"])
with ipc.new_file("column.arrow", batch.schema) as writer:
    writer.write_batch(batch)
rows = vaex.open("column.arrow").evaluate("c", array_type="python")
print([row.tolist() if hasattr(row, "tolist") else row for row in rows])
END
}

reads_well "['x', 'y', None]" "$(read_with '["x", "y"]')"
seen_as_before "[[1, 2], [3], None]" "[[1, 2], [3], [3]]" "$(read_with '[[1, 2], [3]]')"
