#!/usr/bin/env bash
# arrow-java makes nulls of all values when it slices a sparse union.
#
# Seen 2026-12-01 with arrow-vector 19.0.0 and streams of pyarrow 26.0.1. A row of a union has the type that its type id says,
# and the value of that child. `VectorSchemaRoot.slice` keeps neither for a sparse union: all rows of the slice are null,
# without an error. The batch itself is read well, and slices of dense unions are right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
java_packages org.apache.arrow:arrow-vector:19.0.0 org.apache.arrow:arrow-memory-unsafe:19.0.0

cat >Slice.java <<'END'
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowStreamReader;

public class Slice {
    static void show(VectorSchemaRoot rows) {
        for (int row = 0; row < rows.getRowCount(); row++) {
            System.out.print(rows.getVector("u").getObject(row) + " ");
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (RootAllocator allocator = new RootAllocator();
                ArrowStreamReader reader = new ArrowStreamReader(Files.newInputStream(Path.of("unions.arrows")), allocator)) {
            reader.loadNextBatch();
            show(reader.getVectorSchemaRoot());
            System.out.print("| ");
            try (VectorSchemaRoot slice = reader.getVectorSchemaRoot().slice(1, 2)) {
                show(slice);
            }
        }
    }
}
END
javac -cp 'jars/*' Slice.java
sliced() {
    python <<END
import pyarrow as pa, pyarrow.ipc as ipc
ids = pa.array([0, 1, 0], pa.int8())
union = {
    "dense": lambda: pa.UnionArray.from_dense(ids, pa.array([0, 0, 1], pa.int32()), [pa.array([7, 9]), pa.array(["b"])]),
    "sparse": lambda: pa.UnionArray.from_sparse(ids, [pa.array([7, 8, 9]), pa.array(["a", "b", "c"])]),
}["$1"]()
batch = pa.record_batch([union], names=["u"])
with ipc.new_stream("unions.arrows", batch.schema) as writer:
    writer.write_batch(batch)
END
    java --add-opens=java.base/java.nio=ALL-UNNAMED -cp 'jars/*:.' Slice 2>/dev/null
}

reads_well "7 b 9 | b 9 " "$(sliced dense)"
seen_as_before "7 b 9 | b 9 " "7 b 9 | null null " "$(sliced sparse)"
