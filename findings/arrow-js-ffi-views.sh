#!/usr/bin/env bash
# arrow-js-ffi gives zeros for all but the first decimals when it does not copy.
#
# Seen 2026-12-01 with arrow-js-ffi 0.4.3, parquet-wasm 0.8.0 and apache-arrow 21.2.0. `parseTable` takes a table from the C
# data interface, as copies or as views of WebAssembly's memory. A view of a decimal column has as many 32-bit words as there
# are rows, where each row has four: what comes after them is 0, without an error. The copy of the same table is right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
node_packages apache-arrow@21.2.0 arrow-js-ffi@0.4.3 parquet-wasm@0.8.0

cat >read.mjs <<'END'
import fs from "fs";
import { createRequire } from "module";
import { Decimal, Table, makeVector, tableToIPC } from "apache-arrow";
import { parseTable } from "arrow-js-ffi";
import initialize, * as parquet from "parquet-wasm/esm";
const binary = createRequire(import.meta.url).resolve("parquet-wasm/esm/parquet_wasm_bg.wasm");
await initialize({ module_or_path: fs.readFileSync(binary) });
const column = makeVector({ type: new Decimal(2, 10, 128), data: new Uint32Array([125, 0, 0, 0, 350, 0, 0, 0, 475, 0, 0, 0]) });
const stream = tableToIPC(new Table({ d: column }), "stream");
const table = parquet.Table.fromIPCStream(stream).intoFFI();
const copy = process.argv[2] === "copy";
const read = parseTable(parquet.wasmMemory().buffer, table.arrayAddrs(), table.schemaAddr(), copy);
console.log([...read.getChild("d")].join(" "));
END

reads_well "125 350 475" "$(node read.mjs copy)"
seen_as_before "125 350 475" "125 0 0" "$(node read.mjs view)"
