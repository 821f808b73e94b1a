#!/usr/bin/env bash
# apache-arrow loses the leading digits of 256-bit decimals, and the sign of 64-bit ones.
#
# Seen 2026-12-01 with apache-arrow 21.2.0 (JavaScript) and streams of pyarrow 26.0.1. A decimal is a two's complement
# integer. As text, which is how a row of a table shows it, apache-arrow has the right integer for 32 and 128 bits; with 256
# bits 712 is "2", with 64 bits -125 is "18446744073709551491". Neither is an error.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
node_packages apache-arrow@21.2.0

cat >read.mjs <<'END'
import fs from "fs";
import { tableFromIPC } from "apache-arrow";
console.log([...tableFromIPC(fs.readFileSync("decimals.arrows")).getChild("d")].join(" "));
END
read_with() {
    python <<END
from decimal import Decimal
import pyarrow as pa, pyarrow.ipc as ipc
batch = pa.record_batch([pa.array([Decimal("7.12"), Decimal("-1.25")], pa.decimal$1(7, 2))], names=["d"])
with ipc.new_stream("decimals.arrows", batch.schema) as writer:
    writer.write_batch(batch)
END
    node read.mjs
}

reads_well "712 -125" "$(read_with 32)"
reads_well "712 -125" "$(read_with 128)"
seen_as_before "712 -125" "2 -5" "$(read_with 256)"
seen_as_before "712 -125" "712 18446744073709551491" "$(read_with 64)"
