#!/usr/bin/env bash
# vaex drops the first of two columns of one name.
#
# Seen 2026-12-01 with vaex-core 4.19.0 and a file of pyarrow 26.0.1. The format allows equal names, and a join often makes
# them. vaex opens the file without a word, and has the last column only.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages vaex-core==4.19.0 pyarrow==26.0.1

read_with() {
    python <<END
import pyarrow as pa, pyarrow.ipc as ipc, vaex
batch = pa.record_batch([pa.array([1, 2]), pa.array([3, 4])], names=$1)
with ipc.new_file("columns.arrow", batch.schema) as writer:
    writer.write_batch(batch)
frame = vaex.open("columns.arrow")
print(*(frame.evaluate(name, array_type="python") for name in frame.get_column_names()))
END
}

reads_well "[1, 2] [3, 4]" "$(read_with '["a", "b"]')"
seen_as_before "[1, 2] [3, 4]" "[3, 4]" "$(read_with '["a", "a"]')"
