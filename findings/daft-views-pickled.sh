#!/usr/bin/env bash
# daft turns string views, run ends, list views, decimal32 and time32 into pickled Python objects.
#
# Seen 2026-12-01 with daft 0.7.26 and pyarrow 25.0.1. `from_arrow` takes a column of a type that daft does not have without
# a word, as a column of Python objects; `to_arrow` then gives an extension of binary that holds pickles. A table that goes
# through daft loses its type, and other programs see bytes where text was. Plain strings come back as strings.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages daft==0.7.26 pyarrow==25.0.1

read_with() {
    python <<END
import daft, pickle, pyarrow as pa
column = daft.from_arrow(pa.table({"c": pa.array(["text"], $1)})).to_arrow().column("c").combine_chunks()
value = column.storage[0].as_py() if isinstance(column, pa.ExtensionArray) else column[0].as_py()
print(value if isinstance(value, str) else "a pickle of " + pickle.loads(value))
END
}

reads_well "text" "$(read_with 'pa.string()')"
seen_as_before "text" "a pickle of text" "$(read_with 'pa.string_view()')"
