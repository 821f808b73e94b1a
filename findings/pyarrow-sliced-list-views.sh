#!/usr/bin/env bash
# pyarrow gives pandas nothing but nulls for a slice of list views.
#
# Seen 2026-12-01 with pyarrow 26.0.1 and pandas 3.1.1. `to_pandas` and `to_numpy` of a slice of a list view column are all
# None if the whole column has a null anywhere, without an error. The slice itself is right, and so are slices of lists.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pandas==3.1.1 pyarrow==26.0.1

rows_of() {
    python <<END
import pyarrow as pa
column = pa.array([None, [1], [2, 3]], pa.$1(pa.int32())).slice(1)
assert column.to_pylist() == [[1], [2, 3]]
print(*(row if row is None else row.tolist() for row in pa.table({"l": column}).to_pandas()["l"]))
END
}

reads_well "[1] [2, 3]" "$(rows_of list_)"
for type in list_view large_list_view; do
    seen_as_before "[1] [2, 3]" "None None" "$(rows_of $type)"
done
