#!/usr/bin/env bash
# flechette writes a dictionary of structs without the fields of the structs.
#
# Seen 2026-12-01 with @uwdata/flechette 2.6.0 and a stream of pyarrow 26.0.1. In a schema, the field of a dictionary column
# has the type of the dictionary's values, and their children. flechette reads such a column well, but leaves the children
# out of the schema it writes: all values are empty structs afterwards, for every reader, without an error.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
node_packages @uwdata/flechette@2.6.0

cat >copy.mjs <<'END'
import fs from "fs";
import { tableFromIPC, tableToIPC } from "@uwdata/flechette";
const table = tableFromIPC(fs.readFileSync("structs.arrows"));
fs.writeFileSync("copy.arrows", tableToIPC(table, {}));
console.log(JSON.stringify(table.toColumns().s));
END
copy() {
    python <<END
import pyarrow as pa, pyarrow.ipc as ipc
values = pa.array([{"a": 1}, {"a": 2}])
column = values if "$1" == "plain" else pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), values)
batch = pa.record_batch([column], names=["s"])
with ipc.new_stream("structs.arrows", batch.schema) as writer:
    writer.write_batch(batch)
END
    node copy.mjs
}
copied() {
    python <<END
import json, pyarrow.ipc as ipc
print(json.dumps(ipc.open_stream("copy.arrows").read_all()["s"].to_pylist(), separators=(",", ":")))
END
}

reads_well '[{"a":1},{"a":2}]' "$(copy plain)"
reads_well '[{"a":1},{"a":2}]' "$(copied)"
reads_well '[{"a":1},{"a":2}]' "$(copy dictionary)"
seen_as_before '[{"a":1},{"a":2}]' '[{},{}]' "$(copied)"
