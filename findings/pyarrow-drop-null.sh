#!/usr/bin/env bash
# pyarrow's drop_null drops no nulls of run-end encoded columns, nor those in a dictionary.
#
# Seen 2026-12-01 with pyarrow 26.0.1. A run-end encoded array has no validity bitmap: its nulls are in its values. The
# values of a dictionary may be null as well. `is_null` knows them both; `drop_null` of an array or a table gives them back,
# without an error. The first half is known as apache/arrow#43851.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1

dropped() {
    python <<END
import pyarrow as pa, pyarrow.compute as pc
plain = pa.array([7, 7, None, 8])
column = {
    "plain": plain,
    "run ends": pc.run_end_encode(plain),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 2]), pa.array([7, None, 8])),
}["$1"]
assert pc.is_null(column).to_pylist() == [False, False, True, False]
print(column.drop_null().to_pylist(), pa.table({"c": column}).drop_null()["c"].to_pylist())
END
}

reads_well "[7, 7, 8] [7, 7, 8]" "$(dropped plain)"
for kind in "run ends" dictionary; do
    seen_as_before "[7, 7, 8] [7, 7, 8]" "[7, 7, None, 8] [7, 7, None, 8]" "$(dropped "$kind")"
done
