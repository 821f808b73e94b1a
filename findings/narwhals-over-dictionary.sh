#!/usr/bin/env bash
# narwhals drops the rows of a null key when it computes over a dictionary column.
#
# Seen 2026-12-01 with narwhals 2.29.0 and tables of pyarrow 26.0.1. `over` gives one value for each row: those with a null key
# are a group too. Of three rows two come back if the key column is a dictionary, without an error. With plain strings as keys
# all three do.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages narwhals==2.29.0 pyarrow==26.0.1

sums_over() {
    python <<END
import narwhals, pyarrow as pa
keys = pa.array(["a", None, "a"])
table = narwhals.from_native(pa.table({"key": keys.dictionary_encode() if "$1" == "dictionary" else keys, "n": [1, 10, 100]}))
print(table.select(narwhals.col("n").sum().over("key"))["n"].to_list())
END
}

reads_well "[101, 10, 101]" "$(sums_over plain)"
seen_as_before "[101, 10, 101]" "[101, 101]" "$(sums_over dictionary)"
