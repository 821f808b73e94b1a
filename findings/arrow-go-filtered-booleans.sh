#!/usr/bin/env bash
# arrow-go gives the wrong booleans when it filters a column that has a null.
#
# Seen 2026-12-01 with arrow-go 18.8.0. `compute.FilterArray` puts the booleans that it takes one by one into the same place,
# and leaves nulls at the end, if the column or the filter has a null: of true, null, false the first and the third are false
# and null, without an error. Strings are right, and booleans without any null.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
go_packages github.com/apache/arrow-go/v18/arrow/compute@v18.8.0

cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func parse(kind arrow.DataType, json string) arrow.Array {
	read, _, err := array.FromJSON(memory.DefaultAllocator, kind, strings.NewReader(json))
	if err != nil {
		panic(err)
	}
	return read
}

func main() {
	kind := map[string]arrow.DataType{"string": arrow.BinaryTypes.String, "boolean": arrow.FixedWidthTypes.Boolean}[os.Args[1]]
	values, filter := parse(kind, os.Args[2]), parse(arrow.FixedWidthTypes.Boolean, os.Args[3])
	filtered, err := compute.FilterArray(context.Background(), values, filter, *compute.DefaultFilterOptions())
	if err != nil {
		panic(err)
	}
	fmt.Println(filtered)
}
END
go build -o filter main.go

reads_well '["a" "c"]' "$(./filter string '["a", null, "c"]' '[true, false, true]')"
reads_well '["a" "c"]' "$(./filter string '["a", "b", "c"]' '[true, null, true]')"
reads_well '[true false]' "$(./filter boolean '[true, true, false]' '[true, false, true]')"
seen_as_before '[true false]' '[false (null)]' "$(./filter boolean '[true, null, false]' '[true, false, true]')"
seen_as_before '[true false]' '[false (null)]' "$(./filter boolean '[true, true, false]' '[true, null, true]')"
