#!/usr/bin/env bash
# pyarrow makes two groups of one value if a dictionary has the value twice.
#
# Seen 2026-12-01 with pyarrow 26.0.1. The format allows a dictionary to have a value more than once. `group_by`, `unique` and
# `value_counts` then take the keys for the values: "a" is two groups, and its sum is split, without an error. The same
# column decoded has one group.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1

grouped() {
    python <<END
import pyarrow as pa
coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", "b", "a"]))
coded.validate(full=True)
column = coded.dictionary_decode() if "$1" == "decoded" else coded
sums = pa.table({"word": column, "n": [1, 10, 100]}).group_by("word", use_threads=False).aggregate([("n", "sum")])
print(column.unique().to_pylist(), *zip(sums["word"].to_pylist(), sums["n_sum"].to_pylist()))
END
}

reads_well "['a', 'b'] ('a', 101) ('b', 10)" "$(grouped decoded)"
seen_as_before "['a', 'b'] ('a', 101) ('b', 10)" "['a', 'b', 'a'] ('a', 1) ('b', 10) ('a', 100)" "$(grouped coded)"
