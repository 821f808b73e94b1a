"""readers.py READER: for each line `READ<tab>WRITTEN` of standard input, reads WRITTEN with READER (polars or nanoarrow)
and compares it with what pyarrow reads from READ. Prints for each one line: `equal`, or what is different."""
import sys

import pyarrow as pa
import pyarrow.ipc as ipc


def is_file(path):
    with open(path, "rb") as f:
        return f.read(6) == b"ARROW1"


def expected(path):
    with pa.memory_map(path) as source:
        return (ipc.open_file(source) if is_file(path) else ipc.open_stream(source)).read_all()


def with_polars(path, table):
    import polars as pl

    frame = pl.read_ipc(path) if is_file(path) else pl.read_ipc_stream(path)
    return frame.equals(pl.from_arrow(table))


def with_nanoarrow(path, table):
    import nanoarrow as na

    with open(path, "rb") as source:
        # nanoarrow reads streams. A file is one, from byte 8 on.
        source.seek(8 if is_file(path) else 0)
        with na.ArrayStream.from_readable(source) as stream:
            found = pa.RecordBatchReader.from_stream(stream).read_all()
    return found.schema.equals(table.schema) and plain(found).equals(plain(table))


def plain(table):
    """The table without dictionaries at the top: they may be cut into other chunks, and values are what counts."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(field.type.value_type))
    return table


reader = {"polars": with_polars, "nanoarrow": with_nanoarrow}[sys.argv[1]]
for line in sys.stdin.read().splitlines():
    read, written = line.split("\t")
    try:
        print("equal" if reader(written, expected(read)) else "different")
    except Exception as e:
        print(" ".join(f"{type(e).__name__}: {e}".split())[:300])
