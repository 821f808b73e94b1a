#!/usr/bin/env bash
# awkward takes the type ids of a union for the numbers of its children.
#
# Seen 2026-11-30 with awkward 2.14.0 and arrays of pyarrow 26.0.1. A union's schema maps type ids to children: with ids 1
# and 0, id 1 means the first child. awkward takes the other one, and gives values that are not in the array: without an
# error where the children are as long as the union (sparse).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages awkward==2.14.0 pyarrow==26.0.1

read_with() {
    python <<END
import awkward, pyarrow as pa
ids = $1
types = pa.array([ids[0], ids[1], ids[0]], pa.int8())
children = [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
union = pa.UnionArray.from_sparse(types, children, field_names=["number", "word"], type_codes=ids)
assert union.to_pylist() == [1, "b", 3]
print(*awkward.from_arrow(union).to_list())
END
}

reads_well "1 b 3" "$(read_with '[0, 1]')"
seen_as_before "1 b 3" "a 2 c" "$(read_with '[1, 0]')"
