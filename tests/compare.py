"""compare.py [--batches] [--lax] [--unordered] READ WRITTEN

Compares the Arrow IPC files or streams READ, several with commas between, with WRITTEN, by pyarrow: the schema with all
metadata, each value, and that WRITTEN is valid. Prints `equal`, or the first difference.

  --batches    batches must end where those of READ end, and have the same custom metadata
  --unordered  batches may come in any order
  --lax        values may be outside their type's range"""

import sys

import pyarrow as pa
import pyarrow.ipc as ipc


def read(path):
    """The schema, and each batch with its custom metadata."""
    with open(path, "rb") as file:
        if file.read(6) == b"ARROW1":
            reader = ipc.open_file(path)
            batches = [reader.get_batch_with_custom_metadata(i) for i in range(reader.num_record_batches)]
        else:
            file.seek(0)
            reader = ipc.open_stream(file)
            batches = list(reader.iter_batches_with_custom_metadata())
        return reader.schema, [(batch, dict(metadata or {})) for batch, metadata in batches]


def plain(value):
    """The value with NaN made equal to NaN."""
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def values(array):
    storage = array.storage if isinstance(array.type, pa.BaseExtensionType) else array
    return plain(storage.to_pylist())


def rows(batch):
    return [values(column) for column in batch.columns]


def first_difference(expected, found):
    """The first difference between two lists of batches with the same rows in the same order."""
    expected, found = pa.Table.from_batches(expected), pa.Table.from_batches(found)
    if len(expected) != len(found):
        return f"{len(expected)} rows became {len(found)}"
    for name, before, after in zip(expected.column_names, expected.columns, found.columns):
        before, after = ([value for chunk in column.chunks for value in values(chunk)] for column in (before, after))
        for row, (one, other) in enumerate(zip(before, after)):
            if one != other:
                return f"column {name!r}, row {row}: {one!r:.80} became {other!r:.80}"
    return None


def judge(flags, inputs, output):
    """What is different, or `None`."""
    (schema, expected), *others = map(read, inputs)
    expected = [batch for batches in (expected, *(batches for _, batches in others)) for batch in batches]
    found_schema, found = read(output)
    if not schema.equals(found_schema, check_metadata=True):
        return f"schema {schema.to_string()} became {found_schema.to_string()}"
    for number, (batch, _) in enumerate(found):
        try:
            batch.validate(full="--lax" not in flags)
        except pa.ArrowInvalid as error:
            return f"batch {number} is invalid: {error}"
    if "--unordered" in flags:
        before, after = (sorted(repr(rows(batch)) for batch, _ in batches) for batches in (expected, found))
        return None if before == after else "other batches"
    if "--batches" in flags:
        before, after = ([(len(batch), metadata) for batch, metadata in batches] for batches in (expected, found))
        if before != after:
            return "other lengths of batches, or other metadata with them"
    if not expected and not found:
        return None
    return first_difference([batch for batch, _ in expected], [batch for batch, _ in found])


def main():
    flags = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    inputs, output = [argument for argument in sys.argv[1:] if argument not in flags]
    difference = judge(flags, inputs.split(","), output)
    print(difference or "equal")
    sys.exit(difference is not None)


main()
