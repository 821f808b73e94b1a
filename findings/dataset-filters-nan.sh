#!/usr/bin/env bash
# polars and datafusion lose rows with NaN when they filter a pyarrow dataset.
#
# Seen 2026-12-01 with polars 2.1.0, datafusion 55.0.0 and pyarrow 26.0.1. In both, NaN is greater than any other number and
# equal to itself. For a dataset of pyarrow they leave the filter to pyarrow, where each comparison with NaN is false, and
# do not look again: the row is missing without an error. A filter on the same table in memory has it.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages polars==2.1.0 datafusion==55.0.0 pyarrow==26.0.1

filtered() {
    python <<END
import datafusion, polars, pyarrow as pa, pyarrow.dataset
table = pa.table({"f": [1.5, float("nan"), -2.0]})
dataset = pa.dataset.dataset(table)
if "$1" == "polars":
    frame = polars.from_arrow(table).lazy() if "$2" == "memory" else polars.scan_pyarrow_dataset(dataset)
    print(frame.filter(polars.col("f") > 1).collect()["f"].to_list())
else:
    context = datafusion.SessionContext()
    context.from_arrow(table, "numbers") if "$2" == "memory" else context.register_dataset("numbers", dataset)
    print(context.sql("SELECT f FROM numbers WHERE f > 1").to_arrow_table()["f"].to_pylist())
END
}

for library in polars datafusion; do
    reads_well "[1.5, nan]" "$(filtered $library memory)"
    seen_as_before "[1.5, nan]" "[1.5]" "$(filtered $library dataset)"
done
