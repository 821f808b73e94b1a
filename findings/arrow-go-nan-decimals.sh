#!/usr/bin/env bash
# arrow-go makes a number of not-a-number when it casts floats to decimals.
#
# Seen 2026-12-01 with arrow-go 18.8.0. There is no decimal for NaN. A safe cast of infinity to a decimal is an error, and so
# is one of NaN to an integer; NaN to a decimal of ten digits gives one of 37 digits. pyarrow refuses all of them.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
go_packages github.com/apache/arrow-go/v18/arrow/compute@v18.8.0

cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"math"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func main() {
	floats := array.NewFloat64Builder(memory.DefaultAllocator)
	floats.Append(map[string]float64{"1.5": 1.5, "infinity": math.Inf(1), "NaN": math.NaN()}[os.Args[1]])
	decimals := compute.SafeCastOptions(&arrow.Decimal128Type{Precision: 10, Scale: 2})
	cast, err := compute.CastArray(context.Background(), floats.NewArray(), decimals)
	if err != nil {
		fmt.Println("an error")
		return
	}
	fmt.Println(cast)
}
END
go build -o cast main.go

reads_well "[1.5]" "$(./cast 1.5)"
reads_well "an error" "$(./cast infinity)"
seen_as_before "an error" "[-1.701411835e+36]" "$(./cast NaN)"
