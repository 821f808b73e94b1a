#!/usr/bin/env bash
# apache-arrow makes zeros of the values in lists when a column of lists is copied row by row.
#
# Seen 2026-12-01 with apache-arrow 21.2.0 (JavaScript) and streams of pyarrow 26.0.1. A row of a list column is a `Vector`,
# and that is what the builders of lists are declared to take. They ask it for `row[0]`, which a Vector does not have, and
# write 0 for integers, NaN for floats, an empty string for text. Lists given as plain arrays are right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
node_packages apache-arrow@21.2.0

cat >copy.mjs <<'END'
import fs from "fs";
import { Table, tableFromIPC, tableToIPC, vectorFromArray } from "apache-arrow";
const column = tableFromIPC(fs.readFileSync("column.arrows")).getChild("c");
const rows = [...column].map(row => process.argv[2] === "arrays" && row ? [...row] : row);
fs.writeFileSync("copy.arrows", tableToIPC(new Table({ c: vectorFromArray(rows, column.type) })));
END
copy() {
    python <<END
import pyarrow as pa, pyarrow.ipc as ipc
batch = pa.record_batch([pa.array($2, pa.list_(pa.$1()))], names=["c"])
with ipc.new_stream("column.arrows", batch.schema) as writer:
    writer.write_batch(batch)
END
    node copy.mjs "$3"
    python <<END
import pyarrow.ipc as ipc
print(ipc.open_stream("copy.arrows").read_all()["c"].to_pylist())
END
}

reads_well "[[1, 2], None, [3]]" "$(copy int32 '[[1, 2], None, [3]]' arrays)"
seen_as_before "[[1, 2], None, [3]]" "[[0, 0], None, [0]]" "$(copy int32 '[[1, 2], None, [3]]' vectors)"
seen_as_before "[[1.5], [2.5]]" "[[nan], [nan]]" "$(copy float64 '[[1.5], [2.5]]' vectors)"
seen_as_before "[['x'], ['y', 'z']]" "[[''], ['', '']]" "$(copy string "[['x'], ['y', 'z']]" vectors)"
