#!/usr/bin/env bash
# datafusion finds null rows of run-end encoded and dictionary columns with NOT IN.
#
# Seen 2026-12-01 with datafusion 55.0.0 (Python) and tables of pyarrow 26.0.1. In SQL, null is neither in a list nor not in it:
# NOT IN does not select the row. With a subquery it does if the null is in the values of run ends or of a dictionary, which
# have no validity bitmap of their own. The same rows as plain numbers, and NOT IN with a list, are right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages datafusion==55.0.0 pyarrow==26.0.1

rows_with() {
    python <<END
import datafusion, pyarrow as pa, pyarrow.compute as pc
plain = pa.array([7, None, 8])
column = {
    "plain": plain,
    "run ends": pc.run_end_encode(plain),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), plain),
}["$1"]
context = datafusion.SessionContext()
context.from_arrow(pa.table({"n": column, "row": [1, 2, 3]}), "numbers")
query = "SELECT row FROM numbers WHERE n NOT IN ($2) ORDER BY row"
print(context.sql(query).to_arrow_table()["row"].to_pylist())
END
}

first="SELECT n FROM numbers WHERE row = 1"
reads_well "[3]" "$(rows_with plain "$first")"
for kind in "run ends" dictionary; do
    reads_well "[3]" "$(rows_with "$kind" 7)"
    seen_as_before "[3]" "[2, 3]" "$(rows_with "$kind" "$first")"
done
