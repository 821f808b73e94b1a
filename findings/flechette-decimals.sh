#!/usr/bin/env bash
# flechette stores 0.02 for 1.15 as a 32-bit decimal of two places, and 1.14 as a wider one.
#
# Seen 2026-12-01 with @uwdata/flechette 2.6.0. A decimal stands for its integer divided by ten to the power of its scale.
# The builder multiplies numbers by the scale itself if the decimal has 32 bits, and cuts instead of rounding in all widths:
# 1.15 * 100 is a little less than 115 in binary. Neither is an error. Integers given as BigInt are right, as are 1.25 and
# others whose product is exact.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
node_packages @uwdata/flechette@2.6.0

cat >write.mjs <<'END'
import fs from "fs";
import { columnFromArray, decimal, tableFromColumns, tableToIPC } from "@uwdata/flechette";
const column = columnFromArray(eval(process.argv[3]), decimal(7, 2, Number(process.argv[2])));
fs.writeFileSync("decimals.arrows", tableToIPC(tableFromColumns({ d: column }), {}));
END
write_with() {
    node write.mjs "$1" "$2"
    python <<END
import pyarrow.ipc as ipc
print(*ipc.open_stream("decimals.arrows").read_all()["d"].to_pylist())
END
}

for bits in 32 64 128 256; do
    reads_well "1.15 0.29" "$(write_with $bits '[115n, 29n]')"
done
seen_as_before "1.15 0.29" "0.02 0.00" "$(write_with 32 '[1.15, 0.29]')"
reads_well "1.25 0.50" "$(write_with 64 '[1.25, 0.5]')"
for bits in 64 128 256; do
    seen_as_before "1.15 0.29" "1.14 0.28" "$(write_with $bits '[1.15, 0.29]')"
done
