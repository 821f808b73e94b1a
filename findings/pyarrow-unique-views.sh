#!/usr/bin/env bash
# pyarrow makes an empty string of the null when it looks for the distinct values of string views.
#
# Seen 2026-12-01 with pyarrow 26.0.1. `unique` and `value_counts` of a string view or binary view column give "" where the
# null was, without an error; if the column has an empty string as well, "" comes twice. The same column as plain strings
# keeps its null. Known as apache/arrow#39635.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1

distinct() {
    python <<END
import pyarrow as pa
column = pa.array(["b", None, "", "b"], pa.$1())
print(column.unique().to_pylist(), [tuple(count.values()) for count in column.value_counts().to_pylist()])
END
}

expected="['b', None, ''] [('b', 2), (None, 1), ('', 1)]"
reads_well "$expected" "$(distinct string)"
seen_as_before "$expected" "['b', '', ''] [('b', 2), ('', 1), ('', 1)]" "$(distinct string_view)"
