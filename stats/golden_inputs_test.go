package stats_test

import (
	"encoding/json"
	"math"
	"testing"
)

// inputs reads the inputs of a case; a missing or mistyped one fails the test.
type inputs struct {
	t *testing.T
	m map[string]any
}

func (in inputs) get(key string) any {
	in.t.Helper()
	v, ok := in.m[key]
	if !ok {
		in.t.Fatalf("no input %s", key)
	}
	return v
}

func (in inputs) has(key string) bool { return in.m[key] != nil }

func (in inputs) toFloat(v any) float64 {
	in.t.Helper()
	switch x := v.(type) {
	case nil:
		return math.NaN()
	case json.Number:
		f, err := x.Float64()
		if err != nil {
			in.t.Fatal(err)
		}
		return f
	case string:
		if f, ok := specialFloat(x); ok {
			return f
		}
	}
	in.t.Fatalf("%v is not a number", v)
	return 0
}

func (in inputs) f(key string) float64 {
	in.t.Helper()
	return in.toFloat(in.get(key))
}

func (in inputs) i(key string) int64 {
	in.t.Helper()
	return int64(in.f(key))
}

func (in inputs) s(key string) string {
	in.t.Helper()
	s, ok := in.get(key).(string)
	if !ok {
		in.t.Fatalf("%s is not a string", key)
	}
	return s
}

func (in inputs) b(key string) bool {
	in.t.Helper()
	b, ok := in.get(key).(bool)
	if !ok {
		in.t.Fatalf("%s is not a boolean", key)
	}
	return b
}

func (in inputs) list(key string) []any {
	in.t.Helper()
	l, ok := in.get(key).([]any)
	if !ok {
		in.t.Fatalf("%s is not a list", key)
	}
	return l
}

func (in inputs) floats(key string) []float64 {
	in.t.Helper()
	return in.toFloats(in.list(key))
}

func (in inputs) toFloats(l []any) []float64 {
	in.t.Helper()
	out := make([]float64, len(l))
	for i, v := range l {
		out[i] = in.toFloat(v)
	}
	return out
}

func (in inputs) ints(key string) []int64 {
	in.t.Helper()
	return toInts(in.floats(key))
}

func toInts(f []float64) []int64 {
	out := make([]int64, len(f))
	for i, v := range f {
		out[i] = int64(v)
	}
	return out
}

// matrix reads a list of lists.
func (in inputs) matrix(key string) [][]float64 {
	in.t.Helper()
	l := in.list(key)
	out := make([][]float64, len(l))
	for i, v := range l {
		row, ok := v.([]any)
		if !ok {
			in.t.Fatalf("%s is not a list of lists", key)
		}
		out[i] = in.toFloats(row)
	}
	return out
}

// object reads a nested object, objects a list of them.
func (in inputs) object(key string) inputs {
	in.t.Helper()
	return in.toObject(in.get(key))
}

func (in inputs) toObject(v any) inputs {
	in.t.Helper()
	m, ok := v.(map[string]any)
	if !ok {
		in.t.Fatalf("%v is not an object", v)
	}
	return inputs{in.t, m}
}

func (in inputs) objects(key string) []inputs {
	in.t.Helper()
	l := in.list(key)
	out := make([]inputs, len(l))
	for i, v := range l {
		out[i] = in.toObject(v)
	}
	return out
}
