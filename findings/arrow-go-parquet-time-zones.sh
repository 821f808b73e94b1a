#!/usr/bin/env bash
# arrow-go forgets the time zone of timestamps in seconds on their way through Parquet.
#
# Seen 2026-12-01 with arrow-go 18.8.0, and pyarrow 26.0.1 as the other reader. Parquet has no time zones: with
# `WithStoreSchema` the Arrow schema goes into the file, and gives them back. Parquet has no seconds either, so they become
# milliseconds; arrow-go then does not look at the zone any more, and has UTC. pyarrow finds Europe/Paris in the same file.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python_packages pyarrow==26.0.1
go_packages github.com/apache/arrow-go/v18/parquet/pqarrow@v18.8.0

cat >main.go <<'END'
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

func main() {
	units := map[string]arrow.TimeUnit{"seconds": arrow.Second, "milliseconds": arrow.Millisecond}
	zoned := &arrow.TimestampType{Unit: units[os.Args[1]], TimeZone: "Europe/Paris"}
	schema := arrow.NewSchema([]arrow.Field{{Name: "t", Type: zoned}}, nil)
	times := array.NewTimestampBuilder(memory.DefaultAllocator, zoned)
	times.Append(0)
	batch := array.NewRecordBatch(schema, []arrow.Array{times.NewArray()}, 1)
	table := array.NewTableFromRecords(schema, []arrow.RecordBatch{batch})
	var file bytes.Buffer
	options := pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema())
	if err := pqarrow.WriteTable(table, &file, 1, parquet.NewWriterProperties(), options); err != nil {
		panic(err)
	}
	if err := os.WriteFile("times.parquet", file.Bytes(), 0o644); err != nil {
		panic(err)
	}
	read, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(file.Bytes()),
		parquet.NewReaderProperties(memory.DefaultAllocator), pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		panic(err)
	}
	fmt.Println(read.Schema().Field(0).Type.(*arrow.TimestampType).TimeZone)
}
END
go build -o times main.go
with_pyarrow() {
    python <<END
import pyarrow.parquet
print(pyarrow.parquet.read_schema("times.parquet").field("t").type.tz)
END
}

reads_well "Europe/Paris" "$(./times milliseconds)"
reads_well "Europe/Paris" "$(with_pyarrow)"
seen="$(./times seconds)"
reads_well "Europe/Paris" "$(with_pyarrow)"
seen_as_before "Europe/Paris" "UTC" "$seen"
