#!/usr/bin/env bash
# datafusion makes an empty string of a null in a dictionary when it casts it to VARCHAR.
#
# Seen 2026-12-01 with datafusion 55.0.0 (Python) and tables of pyarrow 26.0.1. The format allows null as a value of a
# dictionary. `IS NULL` knows such a row, and so does a cast to Utf8; a cast to VARCHAR, which is Utf8View, gives "" for it,
# without an error. A null key stays null.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages datafusion==55.0.0 pyarrow==26.0.1

result_of() {
    python <<END
import datafusion, pyarrow as pa
words = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array(["a", None]))
context = datafusion.SessionContext()
context.from_arrow(pa.table({"word": words}), "words")
print(context.sql("SELECT $1 AS result FROM words").to_arrow_table()["result"].to_pylist())
END
}

reads_well "[False, True, True]" "$(result_of "word IS NULL")"
reads_well "['a', None, None]" "$(result_of "ARROW_CAST(word, 'Utf8')")"
seen_as_before "['a', None, None]" "['a', '', None]" "$(result_of "CAST(word AS VARCHAR)")"
