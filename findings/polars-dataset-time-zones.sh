#!/usr/bin/env bash
# polars compares the clock of another time zone when it filters a pyarrow dataset.
#
# Seen 2026-12-01 with polars 2.1.0 and pyarrow 26.0.1. A timestamp with a time zone is an instant; the zone is for showing it.
# `scan_pyarrow_dataset` hands filters over to pyarrow with the hours of the zone as if they were UTC: a filter by the first
# row's own time finds no row, one by "later" finds it, without an error. In UTC, and in memory, polars is right.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages polars==2.1.0 pyarrow==26.0.1

rows_in() {
    python <<END
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo
import polars, pyarrow as pa, pyarrow.dataset
zone = ZoneInfo("$1")
noon = datetime(2026, 12, 1, 12, tzinfo=zone)
times = pa.array([noon, noon + timedelta(hours=5)], pa.timestamp("us", "$1"))
table = pa.table({"t": times, "row": [1, 2]})
frame = polars.from_arrow(table).lazy() if "$2" == "memory" else polars.scan_pyarrow_dataset(pa.dataset.dataset(table))
for comparison in (polars.col("t") == noon, polars.col("t") > noon):
    print(frame.filter(comparison).collect()["row"].to_list(), end=" ")
END
}

reads_well "[1] [2] " "$(rows_in UTC dataset)"
reads_well "[1] [2] " "$(rows_in Asia/Tokyo memory)"
seen_as_before "[1] [2] " "[] [1, 2] " "$(rows_in Asia/Tokyo dataset)"
