#!/usr/bin/env bash
# arrow-go answers for the wrong rows when it asks a slice for its nulls, or negates its booleans.
#
# Seen 2026-12-01 with arrow-go 18.8.0. A slice begins at an offset of its array. The function `is_not_null` looks at the
# validity of the array from its first row on, without an error, whatever the type of the column; `not` does so for booleans.
# `is_null` of the same slice is right, and so is a slice from the first row.
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

func main() {
	var column arrow.DataType = arrow.PrimitiveTypes.Int32
	json := `[null, 1, null, 3]`
	if os.Args[1] == "not" {
		column, json = arrow.FixedWidthTypes.Boolean, `[null, true, null, false]`
	}
	values, _, err := array.FromJSON(memory.DefaultAllocator, column, strings.NewReader(json))
	if err != nil {
		panic(err)
	}
	start := map[string]int64{"first": 0, "second": 1}[os.Args[2]]
	slice := compute.NewDatum(array.NewSlice(values, start, start+3))
	result, err := compute.CallFunction(context.Background(), os.Args[1], nil, slice)
	if err != nil {
		panic(err)
	}
	fmt.Println(result.(*compute.ArrayDatum).MakeArray())
}
END
go build -o ask main.go

reads_well "[false true false]" "$(./ask is_not_null first)"
reads_well "[false true false]" "$(./ask is_null second)"
seen_as_before "[true false true]" "[false true false]" "$(./ask is_not_null second)"
reads_well "[(null) false (null)]" "$(./ask not first)"
seen_as_before "[false (null) true]" "[(null) true (null)]" "$(./ask not second)"
