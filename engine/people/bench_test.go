package people

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// customers are names of 20 bytes.
func customers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("customer:%011d", i)
	}
	return names
}

func live() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

// enrolAll enrols customers, one after the other, in one of 1,000 experiments each.
func enrolAll(r *Registry, names []string) {
	for i, name := range names {
		r.Enrol(enrolment(name, "experiment-"+strconv.Itoa(i%1000), "control", name, i))
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	r := small()
	for _, identifier := range []string{"alone", "c42", "x", "nobody"} {
		if n := testing.AllocsPerRun(100, func() {
			p := r.Find(identifier)
			p.Root()
			p.Key()
			p.First()
			p.Enrolled("offer")
			for e := range p.Enrolments {
				_ = e
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", identifier, n)
		}
	}
}

// BenchmarkFind is Find and Enrolled of a million enrolled customers in random order.
func BenchmarkFind(b *testing.B) {
	names := customers(1_000_000)
	for _, tt := range []struct {
		name string
		make func(r *Registry)
	}{
		{"unlinked", func(*Registry) {}},
		{"linked", func(r *Registry) {
			for i := 0; i < len(names); i += 2 {
				r.Link(names[i], names[i+1])
			}
		}},
	} {
		r := New(secret)
		enrolAll(r, names)
		tt.make(r)
		for _, who := range []string{"enrolled", "unknown"} {
			b.Run(tt.name+"/"+who, func(b *testing.B) {
				b.ReportAllocs()
				ask := names
				if who == "unknown" {
					ask = make([]string, len(names))
					for i := range ask {
						ask[i] = "unknown:" + strconv.Itoa(i)
					}
				}
				var batch [64]string
				found, bytes := 0, 0
				b.ResetTimer()
				for i := range b.N {
					if i%len(batch) == 0 { // bring the names into the cache, as a request has
						for j := range batch {
							at := uint64(i+j) * 0x9e3779b97f4a7c15 >> 32 * uint64(len(ask)) >> 32
							batch[j] = ask[at]
							bytes += int(batch[j][0])
						}
					}
					p := r.Find(batch[i%len(batch)])
					if _, _, ok := p.Enrolled("experiment-7"); ok {
						found++
					}
				}
				if (found > 0) != (who == "enrolled") && b.N > 100_000 || bytes == 0 {
					b.Fatal(found, "were enrolled")
				}
			})
		}
	}
}

func BenchmarkEnrol(b *testing.B) {
	r, names := New(secret), customers(1_000_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		name := names[i%len(names)]
		r.Enrol(Enrolment{Customer: name, Experiment: "tone", Variant: "warm", Key: name, At: time.UnixMicro(int64(i))})
	}
}

// BenchmarkMemory prints the live heap of a million enrolled customers and of 10 million
// links, the time to take them in, and the longest wait of a reader meanwhile. It takes
// minutes and 2 GB, so it asks for PERENNIAL_BENCH_MEMORY.
func BenchmarkMemory(b *testing.B) {
	if os.Getenv("PERENNIAL_BENCH_MEMORY") == "" {
		b.Skip("takes minutes: set PERENNIAL_BENCH_MEMORY=1")
	}
	b.Run("enrolled=1M", func(b *testing.B) {
		for b.Loop() {
			before := live()
			r := New(secret)
			for i := range 1_000_000 {
				name := fmt.Sprintf("customer:%011d", i)
				r.Enrol(enrolment(name, "experiment-"+strconv.Itoa(i%1000), "control", name, i))
			}
			b.ReportMetric(live()-before, "MB-1-each")
			for n := range 4 {
				for i := range 1_000_000 {
					name := fmt.Sprintf("customer:%011d", i)
					r.Enrol(enrolment(name, "experiment-"+strconv.Itoa((i+n+1)%1000), "control", name, i))
				}
			}
			b.ReportMetric(live()-before, "MB-5-each")
			runtime.KeepAlive(r)
		}
	})
	b.Run("links=10M", func(b *testing.B) {
		for b.Loop() {
			before := live()
			r := New(secret)
			longest := time.Duration(0)
			for i := range 10_000_000 {
				customer, cookie := fmt.Sprintf("customer:%011d", i), fmt.Sprintf("cookie:%013d", i)
				start := time.Now()
				r.Link(customer, cookie)
				longest = max(longest, time.Since(start))
			}
			b.ReportMetric(live()-before, "MB")
			b.ReportMetric(float64(longest.Microseconds()), "us-longest-link")
			start := time.Now()
			var size counter
			if _, err := r.WriteTo(&size); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(start).Seconds(), "s-write")
			b.ReportMetric(float64(size)/1e6, "MB-file")
			runtime.KeepAlive(r)
		}
	})
	b.Run("read/links=1M", func(b *testing.B) {
		r := New(secret)
		for i := range 1_000_000 {
			r.Link(fmt.Sprintf("customer:%011d", i), fmt.Sprintf("cookie:%013d", i))
		}
		var file bytes.Buffer
		if _, err := r.WriteTo(&file); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := Read(bytes.NewReader(file.Bytes()), secret); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
