"""read_streams.py: for each path of standard input, a stream, prints one line of JSON: what each reader here makes of it,
`rows N` or the name of its error. `-` stands for a reader that is not installed."""

import io
import json
import sys


def pyarrow_stream(path):
    import pyarrow as pa

    with pa.OSFile(path, "rb") as file:
        return pa.ipc.open_stream(file).read_all().num_rows


def pyarrow_one_by_one(path):
    import pyarrow as pa

    with open(path, "rb") as file:
        rows = 0
        for batch in pa.ipc.open_stream(io.BytesIO(file.read())):
            batch.to_pylist()  # what is handed out can be looked at
            rows += batch.num_rows
        return rows


def pyarrow_mapped(path):
    import pyarrow as pa

    with pa.memory_map(path) as file:
        return pa.ipc.open_stream(file).read_all().num_rows


def polars(path):
    import polars as pl

    frame = pl.read_ipc_stream(path)
    frame.to_dicts()
    return frame.height


def polars_from_memory(path):
    import polars as pl

    with open(path, "rb") as file:
        return pl.read_ipc_stream(io.BytesIO(file.read())).height


def nanoarrow(path):
    import nanoarrow as na
    from nanoarrow.ipc import InputStream

    rows = 0
    with InputStream.from_path(path) as stream, na.ArrayStream(stream) as arrays:
        for array in arrays:
            rows += len(array)
    return rows


READERS = [pyarrow_stream, pyarrow_one_by_one, pyarrow_mapped, polars, polars_from_memory, nanoarrow]


def outcome(reader, path):
    try:
        return f"rows {reader(path)}"
    except ImportError:
        return "-"
    except BaseException as error:  # polars' panics are no Exception
        return type(error).__name__


for line in sys.stdin.read().splitlines():
    print(json.dumps({reader.__name__: outcome(reader, line) for reader in READERS}), flush=True)
