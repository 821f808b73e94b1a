#!/usr/bin/env bash
# datafusion ignores the condition of a CASE that gives a run-end encoded column.
#
# Seen 2026-12-01 with datafusion 55.0.0 (Python) and tables of pyarrow 26.0.1. A CASE is null where no branch applies, and
# NULLIF is null for equal values. For a run-end encoded column both give the column as it is, without an error. With an ELSE,
# or with the same column decoded, the conditions count.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages datafusion==55.0.0 pyarrow==26.0.1

result_of() {
    python <<END
import datafusion, pyarrow as pa, pyarrow.compute as pc
column = pa.array([7, 7, 8])
if "$1" == "run ends":
    column = pc.run_end_encode(column)
context = datafusion.SessionContext()
context.from_arrow(pa.table({"n": column, "row": [1, 2, 3]}), "numbers")
print(context.sql("SELECT $2 AS result FROM numbers").to_arrow_table()["result"].to_pylist())
END
}

case="CASE WHEN row = 1 THEN n END"
reads_well "[7, 0, 0]" "$(result_of "run ends" "CASE WHEN row = 1 THEN n ELSE 0 END")"
reads_well "[7, None, None]" "$(result_of plain "$case")"
seen_as_before "[7, None, None]" "[7, 7, 8]" "$(result_of "run ends" "$case")"
reads_well "[None, None, 8]" "$(result_of plain "NULLIF(n, 7)")"
seen_as_before "[None, None, 8]" "[7, 7, 8]" "$(result_of "run ends" "NULLIF(n, 7)")"
