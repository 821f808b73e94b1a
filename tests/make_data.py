"""make_data.py FOLDER: writes, with pyarrow, the test data that can be made: `features`, a file and a stream for each
feature of the format, and `data`, four larger sets. `cargo xtask test-data` runs it.

The same bytes each time, with the same version of pyarrow."""

import datetime
import decimal
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

ROWS = 40


def nullable(values):
    """The values, with a null for each seventh."""
    return [None if i % 7 == 3 else value for i, value in enumerate(values)]


def column(values, type):
    return pa.array(nullable(values), type)


def halves(array, **field):
    """Two batches with this column, the second of them a slice."""
    schema = pa.schema([pa.field("a", array.type, **field)])
    batch = pa.record_batch([array], schema=schema)
    return [batch, batch.slice(len(array) // 3, len(array) // 3)]


def dictionary(keys, values, index=pa.int32(), ordered=False):
    keys = pa.array(keys, index)
    return pa.DictionaryArray.from_arrays(keys, values, ordered=ordered)


def words(*dictionaries):
    """A batch for each list of values, whose keys use all of them."""
    arrays = [dictionary(range(len(values)), pa.array(values)) for values in dictionaries]
    return [pa.record_batch([array], names=["a"]) for array in arrays]


def numbers(type, first=0):
    return halves(column([first + i for i in range(ROWS)], type))


def texts(type):
    return halves(column(["", "short", "longer than the twelve bytes of a view", "ä\0ß"] * (ROWS // 4), type))


def features():
    """Batches by the feature they have."""
    span = range(ROWS)
    date = datetime.date(1969, 12, 30)
    point = pa.struct([pa.field("x", pa.int32()), pa.field("s", pa.string())])
    points = [{"x": i, "s": f"p{i}"} for i in span]
    lists = [[i] * (i % 4) for i in span]
    kinds = pa.array([i % 2 for i in span], pa.int8())
    members = [column(list(span), pa.int32()), column(["u"] * ROWS, pa.string())]
    ends = pa.array([3, 9, 39, 40], pa.int32())
    ids = column([bytes([i] * 16) for i in span], pa.binary(16))
    return {
        "bool": halves(column([i % 3 == 0 for i in span], pa.bool_())),
        "int8": numbers(pa.int8(), -20),
        "int32": numbers(pa.int32(), -20),
        "int64": numbers(pa.int64(), -(1 << 40)),
        "uint64": numbers(pa.uint64(), (1 << 64) - 50),
        "float16": halves(pa.array([i / 4 for i in span], pa.float32()).cast(pa.float16())),
        "float32": halves(column([i / 3 for i in span], pa.float32())),
        "float64": halves(column([float("nan"), float("-inf"), -0.0, 1e300] * (ROWS // 4), pa.float64())),
        "decimal64": halves(column([decimal.Decimal(i) / 100 for i in span], pa.decimal64(12, 2))),
        "decimal128": halves(column([decimal.Decimal(-i) for i in span], pa.decimal128(38, 10))),
        "date32": halves(column([date + datetime.timedelta(days=i) for i in span], pa.date32())),
        "time32_ms": numbers(pa.time32("ms")),
        "time64_ns": numbers(pa.time64("ns")),
        "timestamp_s": numbers(pa.timestamp("s"), -20),
        "timestamp_us_utc": numbers(pa.timestamp("us", "UTC")),
        "timestamp_ns": numbers(pa.timestamp("ns")),
        "duration_ms": numbers(pa.duration("ms")),
        "interval_mdn": halves(column([pa.MonthDayNano([i, -i, i * 10]) for i in span], pa.month_day_nano_interval())),
        "utf8": texts(pa.string()),
        "utf8_view": texts(pa.string_view()),
        "large_binary": halves(column([bytes([i]) * i for i in span], pa.large_binary())),
        "fixed_size_binary": halves(column([bytes([i] * 5) for i in span], pa.binary(5))),
        "list": halves(column(lists, pa.list_(pa.int16()))),
        "large_list": halves(column(lists, pa.large_list(pa.int16()))),
        "list_view": halves(column(lists, pa.list_view(pa.int16()))),
        "fixed_size_list": halves(column([[i, None, -i] for i in span], pa.list_(pa.int32(), 3))),
        "struct": halves(column(points, point)),
        "nested_deep": halves(column([[{"p": p, "l": [[p["x"]], []]}] for p in points],
                                     pa.list_(pa.struct([("p", point), ("l", pa.list_(pa.list_(pa.int8())))])))),
        "map": halves(column([[(f"k{j}", j) for j in range(i % 3)] for i in span], pa.map_(pa.string(), pa.int64()))),
        "null": halves(pa.nulls(ROWS)),
        "union_sparse": halves(pa.UnionArray.from_sparse(kinds, members)),
        "union_dense": halves(pa.UnionArray.from_dense(kinds, pa.array([i // 2 for i in span], pa.int32()), members)),
        "ree_int32": halves(pa.RunEndEncodedArray.from_arrays(ends, pa.array([1, None, 2, 1]))),
        "ext_uuid": halves(pa.ExtensionArray.from_storage(pa.uuid(), ids)),
        "ext_unknown": halves(pa.array(list(span)), metadata={
            "ARROW:extension:name": "example.unknown", "ARROW:extension:metadata": "{}"}),
        "no_nulls": halves(pa.array(list(span)), nullable=False),
        "dict_int8_utf8": halves(dictionary(nullable([i % 3 for i in span]), pa.array(["a", "b", "c"]), pa.int8())),
        "dict_uint16_utf8": halves(dictionary([i % 3 for i in span], pa.array(["a", None, "c"]), pa.uint16())),
        "dict_of_int64": halves(dictionary([i % 3 for i in span], pa.array([7, 8, 9]))),
        "dict_ordered": halves(dictionary([i % 3 for i in span], pa.array(["low", "mid", "high"]), ordered=True)),
        "dict_in_struct": halves(pa.StructArray.from_arrays([words([f"w{i}" for i in span])[0].column(0)], ["d"])),
        "dict_delta": words(["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]),
        "dict_replacement": words(["a", "b"], ["x", "y", "z"], ["b"]),
        "many_batches": [pa.record_batch([pa.array(range(i % 5), pa.int64())], names=["a"]) for i in range(200)],
        "empty_mixed": [pa.record_batch([pa.array(range(i), pa.int64())], names=["a"]) for i in (0, 3, 0, 0, 2, 0)],
        "sliced": [halves(column([f"s{i}" for i in span], pa.string()))[0].slice(i, 9) for i in (1, 8, 30)],
        "metadata": halves(pa.array(list(span)), metadata={"of": "the field", "empty": ""}),
    }


def write(path, batches, make=ipc.new_stream, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with make(str(path), batches[0].schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)


def write_both(folder, name, batches, **options):
    write(folder / "stream" / f"{name}.arrows", batches, **options)
    # A file has one dictionary for each field, which grows by deltas only.
    if name != "dict_replacement":
        write(folder / "file" / f"{name}.arrow", batches, ipc.new_file, **options)


def write_features(folder):
    several = features()
    for name, batches in several.items():
        write_both(folder, name, batches, emit_dictionary_deltas=name == "dict_delta")
    for name, codec in (("lz4", "lz4"), ("zstd", "zstd")):
        write_both(folder, name, several["utf8"] + several["utf8"][:1], compression=codec)
    write_both(folder, "v4", several["int32"], metadata_version=ipc.MetadataVersion.V4)


def trips(batch_number):
    draw, rows = random.Random(batch_number), 10_000
    zones = pa.array([f"Zone {i:03}" for i in range(265)])
    start = [1_700_000_000_000_000 + 60_000_000 * i for i in range(rows)]
    pick = lambda values, index: dictionary([draw.randrange(len(values)) for _ in range(rows)], values, index)
    return pa.record_batch({
        "pickup": pa.array(start, pa.timestamp("us", "America/New_York")),
        "passengers": column([draw.randrange(1, 7) for _ in range(rows)], pa.int8()),
        "distance": pa.array([draw.random() * 20 for _ in range(rows)]),
        "pickup_zone": pick(zones, pa.int16()),
        "dropoff_zone": pick(zones, pa.int16()),
        "payment": pick(pa.array(["Credit card", "Cash", "No charge", "Dispute", "Unknown"]), pa.int8()),
        "fare": column([decimal.Decimal(draw.randrange(10_000)) / 100 for _ in range(rows)], pa.decimal128(9, 2)),
    })


def logs(batch_number):
    draw, rows = random.Random(batch_number), (2500, 1, 4000, 700)[batch_number % 4]
    frame = lambda: {"file": f"src/m{draw.randrange(90)}.rs", "line": draw.randrange(2000)}
    levels, said = pa.array(["INFO", "WARN", "ERROR", "DEBUG"]), ["cache", "retry", "błąd", "警告"]
    return pa.record_batch({
        "ts": pa.array([1_716_999_400_000_000_000 + 70_000_000 * i for i in range(rows)], pa.timestamp("ns", "UTC")),
        "level": dictionary([draw.randrange(4) for _ in range(rows)], levels, pa.uint8()),
        "message": pa.array([" ".join(draw.choices(said, k=6)) for _ in range(rows)], pa.large_string()),
        "tags": pa.array([[(f"k{j}", f"v{draw.randrange(9)}") for j in range(i % 4)] for i in range(rows)],
                         pa.map_(pa.string(), pa.string())),
        "stack": column([[frame() for _ in range(i % 3)] for i in range(rows)],
                        pa.list_(pa.struct([("file", pa.string()), ("line", pa.int32())]))),
        "payload": column([draw.randbytes(i % 40) for i in range(rows)], pa.binary()),
    })


def iot(devices):
    def of(batch_number):
        draw = random.Random(batch_number)
        rows = draw.randrange(1, 48)
        return pa.record_batch({
            "t": pa.array([1_700_000_000_000 + 65 * i for i in range(rows)], pa.timestamp("ms")),
            "device": dictionary([draw.randrange(len(devices)) for _ in range(rows)], devices),
            "value": pa.array([draw.gauss(20, 5) for _ in range(rows)]),
            "ok": column([draw.random() < 0.9 for _ in range(rows)], pa.bool_()),
        })
    return of


def embeddings(batch_number):
    draw, rows = random.Random(batch_number), 1000
    values = pa.array([draw.gauss(0, 0.1) for _ in range(rows * 768)], pa.float32())
    return pa.record_batch({
        "id": pa.array(range(rows * batch_number, rows * (batch_number + 1))),
        "doc": pa.array([f"document {i} " + "lorem " * (i % 9) for i in range(rows)], pa.string_view()),
        "vec": pa.FixedSizeListArray.from_arrays(values, 768),
    })


def write_data(folder):
    devices = pa.array([f"device {i:06}" for i in range(6100)])
    sets = (("trips", trips, 6), ("logs", logs, 7), ("iot", iot(devices), 1000), ("embeddings", embeddings, 2))
    for name, make, count in sets:
        write(folder / f"{name}.arrow", [make(i) for i in range(count)], ipc.new_file)


def main():
    folder = Path(sys.argv[1])
    write_features(folder / "features")
    write_data(folder / "data")
    files = [path for path in folder.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) >> 20} MiB")


main()
