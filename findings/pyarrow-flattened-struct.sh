#!/usr/bin/env bash
# pyarrow gives a null struct the values below it when it flattens run-end encoded fields.
#
# Seen 2026-12-01 with pyarrow 26.0.1. `StructArray.flatten` gives the fields with the nulls of the struct put into them, as
# its documentation says: what is below a null struct has no meaning. With a run-end encoded field the null is lost, and
# the value below it comes up, in `Table.flatten` too. Plain fields are right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1

flattened() {
    python <<END
import pyarrow as pa, pyarrow.compute as pc
field = pa.array([7, 7, 8, 8])
if "$1" == "run ends":
    field = pc.run_end_encode(field)
structs = pa.StructArray.from_arrays([field], ["n"], mask=pa.array([False, True, False, False]))
assert structs.to_pylist() == [{"n": 7}, None, {"n": 8}, {"n": 8}]
print(structs.flatten()[0].to_pylist(), pa.table({"s": structs}).flatten()["s.n"].to_pylist())
END
}

reads_well "[7, None, 8, 8] [7, None, 8, 8]" "$(flattened plain)"
seen_as_before "[7, None, 8, 8] [7, None, 8, 8]" "[7, 7, 8, 8] [7, 7, 8, 8]" "$(flattened "run ends")"
