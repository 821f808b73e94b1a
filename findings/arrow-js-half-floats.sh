#!/usr/bin/env bash
# apache-arrow and flechette write 2 for 65536 and minus infinity for 0.00000001 as half floats.
#
# Seen 2026-12-01 with apache-arrow 21.2.0 and @uwdata/flechette 2.6.0, which has the same conversion. A half float is IEEE
# 754 binary16: what is too large for it rounds to infinity, what is too small rounds to zero. Both wrap around instead, in
# the array and in the stream it is written to, without an error. numpy gives the expected values; numbers in range are right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages numpy==2.4.6 pyarrow==26.0.1
node_packages apache-arrow@21.2.0 @uwdata/flechette@2.6.0

cat >write.mjs <<'END'
import fs from "fs";
import * as arrow from "apache-arrow";
import * as flechette from "@uwdata/flechette";
const values = JSON.parse(process.argv[3]);
fs.writeFileSync("halves.arrows", process.argv[2] === "flechette"
    ? flechette.tableToIPC(flechette.tableFromColumns({ h: flechette.columnFromArray(values, flechette.float16()) }), {})
    : arrow.tableToIPC(new arrow.Table({ h: arrow.vectorFromArray(values, new arrow.Float16()) })));
END
write_with() {
    node write.mjs "$1" "$2"
    python <<END
import pyarrow.ipc as ipc
print(*ipc.open_stream("halves.arrows").read_all()["h"].to_pylist())
END
}
with_numpy() {
    python <<END
import numpy
numpy.seterr(over="ignore")
print(*numpy.array($1).astype(numpy.float16).tolist())
END
}

for library in apache-arrow flechette; do
    reads_well "$(with_numpy '[1.5, -65504, 0.25]')" "$(write_with $library '[1.5, -65504, 0.25]')"
    seen_as_before "$(with_numpy '[65536, 100000, 1e-8]')" "2.0 3.05078125 -inf" \
        "$(write_with $library '[65536, 100000, 1e-8]')"
done
