#!/usr/bin/env bash
# narwhals adds zero for ones after a large number, and NaN after NaN, in the rolling windows of a pyarrow table.
#
# Seen 2026-12-01 with narwhals 2.29.0, pyarrow 26.0.1 and polars 2.1.0. A window of two rows depends on these two rows.
# narwhals takes the difference of running totals for pyarrow: what came before the window stays in it as an error of rounding,
# or as NaN. For the same data in polars it has the right sums.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages narwhals==2.29.0 polars==2.1.0 pyarrow==26.0.1

sums_with() {
    python <<END
import narwhals, polars, pyarrow as pa
table = pa.table({"f": $2})
frame = narwhals.from_native(table if "$1" == "pyarrow" else polars.from_arrow(table))
print(frame.select(narwhals.col("f").rolling_sum(2, min_samples=1))["f"].to_list())
END
}

large='[1e17, 1.0, 1.0, 1.0]'
reads_well "[1.0, 3.0, 5.0]" "$(sums_with pyarrow '[1.0, 2.0, 3.0]')"
reads_well "[1e+17, 1e+17, 2.0, 2.0]" "$(sums_with polars "$large")"
seen_as_before "[1e+17, 1e+17, 2.0, 2.0]" "[1e+17, 1e+17, 0.0, 0.0]" "$(sums_with pyarrow "$large")"
nan='[float("nan"), 1.0, 2.0, 3.0]'
reads_well "[nan, nan, 3.0, 5.0]" "$(sums_with polars "$nan")"
seen_as_before "[nan, nan, 3.0, 5.0]" "[nan, nan, nan, nan]" "$(sums_with pyarrow "$nan")"
