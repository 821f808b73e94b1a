#!/usr/bin/env bash
# arquero gives every batch of a stream the last of its dictionaries.
#
# Seen 2026-11-30 with arquero 8.0.3 and a stream of pyarrow 26.0.1. A stream may replace a dictionary between batches; keys
# refer to the dictionary before them. @uwdata/flechette, which arquero reads with, has each batch's own words; arquero
# joins the batches under one dictionary, without an error.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
node_packages arquero@8.0.3 @uwdata/flechette@2.6.0

python <<'END'
import pyarrow as pa, pyarrow.ipc as ipc
def batch(words):
    return pa.record_batch([pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), words)], names=["word"])
batches = [batch(["a", "b"]), batch(["c", "d"])]
with ipc.new_stream("words.arrows", batches[0].schema) as writer:
    for each in batches:
        writer.write_batch(each)
END
cat >read.mjs <<'END'
import fs from "fs";
import { fromArrow } from "arquero";
import { tableFromIPC } from "@uwdata/flechette";
const bytes = fs.readFileSync("words.arrows");
const rows = process.argv[2] === "flechette" ? tableFromIPC(bytes).toArray() : fromArrow(bytes).objects();
console.log(rows.map(row => row.word).join(" "));
END

reads_well "a b c d" "$(node read.mjs flechette)"
seen_as_before "a b c d" "c d c d" "$(node read.mjs arquero)"
