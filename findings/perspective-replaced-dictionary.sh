#!/usr/bin/env bash
# perspective gives every batch of a stream the first of its dictionaries.
#
# Seen 2026-11-30 with perspective-python 5.6.1 and a stream of pyarrow 26.0.1. A stream may replace a dictionary between
# batches; keys refer to the dictionary before them. perspective looks the keys of later batches up in the first one,
# without an error: the other words are nowhere in the table.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages perspective-python==5.6.1 pyarrow==26.0.1

read_with() {
    python <<END
import io
import perspective, pyarrow as pa, pyarrow.ipc as ipc
def batch(words):
    return pa.record_batch([pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), words)], names=["word"])
batches = [batch(["a", "b"]), batch($1)]
stream = io.BytesIO()
with ipc.new_stream(stream, batches[0].schema) as writer:
    for each in batches:
        writer.write_batch(each)
table = perspective.Server().new_local_client().table(stream.getvalue())
print(*table.view().to_columns()["word"])
END
}

reads_well "a b a b" "$(read_with '["a", "b"]')"
seen_as_before "a b c d" "a b a b" "$(read_with '["c", "d"]')"
