#!/usr/bin/env bash
# arquero turns the rows of a batch to nulls where the batch before it had a null in a dictionary column.
#
# Seen 2026-11-30 with arquero 8.0.3 and a stream of pyarrow 26.0.1. The first of two batches has one null, so it has a
# validity bitmap; the second has none, which the format allows. All rows of the second come out as null, without an error.
# The same column as plain strings is right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
node_packages arquero@8.0.3 @uwdata/flechette@2.6.0

python <<'END'
import pyarrow as pa, pyarrow.ipc as ipc
def batch(keys):
    coded = pa.DictionaryArray.from_arrays(pa.array(keys, pa.int32()), ["x", "y"])
    return pa.record_batch([coded, coded.cast(pa.string())], names=["coded", "plain"])
batches = [batch([0, None, 1]), batch([0, 1, 0])]
with ipc.new_stream("words.arrows", batches[0].schema) as writer:
    for each in batches:
        writer.write_batch(each)
END
cat >read.mjs <<'END'
import fs from "fs";
import { fromArrow } from "arquero";
const rows = fromArrow(fs.readFileSync("words.arrows")).objects();
console.log(rows.map(row => row[process.argv[2]] ?? "null").join(" "));
END

reads_well "x null y x y x" "$(node read.mjs plain)"
seen_as_before "x null y x y x" "x null y null null null" "$(node read.mjs coded)"
