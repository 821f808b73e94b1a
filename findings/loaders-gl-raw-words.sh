#!/usr/bin/env bash
# loaders.gl gives the raw words of decimals and half floats: more rows than there are, and 15872 for 1.5.
#
# Seen 2026-11-30 with @loaders.gl/arrow 4.5.2 and streams of pyarrow 26.0.1. A table of two decimal128 rows has eight
# rows afterwards, four words of 32 bits each; float16 values are their 16 bits as an integer. Neither is an error, and
# apache-arrow, which loaders.gl reads with, has two rows and 1.5.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
node_packages @loaders.gl/core@4.5.2 @loaders.gl/arrow@4.5.2

python <<'END'
import decimal
import pyarrow as pa, pyarrow.ipc as ipc
def write(name, array):
    with ipc.new_stream(name, pa.schema([("v", array.type)])) as writer:
        writer.write_batch(pa.record_batch([array], names=["v"]))
write("int32.arrows", pa.array([7, 8], pa.int32()))
write("decimal128.arrows", pa.array([decimal.Decimal("1.25"), decimal.Decimal("3.50")], pa.decimal128(10, 2)))
write("float16.arrows", pa.array([1.5, -2.25], pa.float16()))
END
cat >read.mjs <<'END'
import fs from "fs";
import { parse } from "@loaders.gl/core";
import { ArrowLoader } from "@loaders.gl/arrow";
const bytes = new Uint8Array(fs.readFileSync(process.argv[2] + ".arrows")).buffer;
const table = await parse(bytes, ArrowLoader, { worker: false, arrow: { shape: "object-row-table" } });
console.log(table.data.map(row => row.v).join(" "));
END

reads_well "7 8" "$(node read.mjs int32)"
seen_as_before "1.25 3.5" "125 0 0 0 350 0 0 0" "$(node read.mjs decimal128)"
seen_as_before "1.5 -2.25" "15872 49280" "$(node read.mjs float16)"
