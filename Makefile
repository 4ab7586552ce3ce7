# Perennial: what a person does with the project. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help demo test kills lint fmt bench bench-stats bench-ledger fuzz simulate build

# The race detector needs a C compiler. Without one the tests run without it, and say so.
RACE := $(shell command -v cc >/dev/null 2>&1 && echo -race)
LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: build ## watch a test run, decide and promote its winner (DEMO_ARGS=--once to exit at the end)
	@bin/perennial demo $(DEMO_ARGS)

test: ## run all tests against a real PostgreSQL of their own
	@[ -n "$(RACE)" ] || echo "no C compiler: the tests run without the race detector"
	@command -v npm >/dev/null 2>&1 || echo "NO NODE.JS: OpenFeature's JavaScript clients are not tested"
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || echo "NO CHROMIUM: pages of other origins are not tested in a browser"
	go test $(RACE) -timeout 20m ./...

kills: ## kill the server and PostgreSQL 20 times while 200,000 events come in (a minute or two)
	@PERENNIAL_TEST_KILLS=20 go test -count=1 -run TestKillsAtFullIngest -v ./cmd/perennial

lint: ## run the linters (builds them the first time, which takes minutes)
	go vet ./...
	$(LINT) run

fmt: ## format the code
	$(LINT) fmt

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

bench-assign: build ## measure assignments over HTTP beside a bare gin handler, in process, and in memory (needs wrk; takes 10 minutes)
	@go build -o bin/assignbench ./cmd/assignbench
	@bin/assignbench -perennial bin/perennial $(BENCH_ARGS)
	@go test -run '^$$' -bench 'Evaluate|OFREP' -benchmem ./engine ./api | grep -E '^(Benchmark|FAIL|panic)'

bench-stats: ## run the benchmarks of the statistics that have a goal, each beside its goal (the best of three runs)
	@go test -run '^$$' -bench . -benchmem -count 3 ./stats ./stats/clv ./stats/survival | awk ' \
		function time(ns) { return ns < 1e3 ? sprintf("%.0f ns", ns) : ns < 1e6 ? sprintf("%.1f us", ns/1e3) : sprintf("%.1f ms", ns/1e6) } \
		BEGIN { printf "%-32s %12s %12s %10s %8s\n", "benchmark", "figure", "goal", "of goal", "allocs" } \
		/^(FAIL|panic)/ { print; failed = 1 } \
		/^Benchmark/ { goal = 0; for (i = 3; i < NF; i += 2) { \
			if ($$(i+1) == "ns/op") figure = $$i; if ($$(i+1) == "goal-ns") goal = $$i; if ($$(i+1) == "allocs/op") allocs = $$i } \
			if (goal && !($$1 in best)) { names[++n] = $$1; best[$$1] = figure } \
			if (goal) { goals[$$1] = goal; count[$$1] = allocs; if (figure < best[$$1]) best[$$1] = figure } } \
		END { for (i = 1; i <= n; i++) { b = names[i]; printf "%-32s %12s %12s %9.0f%% %8d%s\n", b, time(best[b]), \
			time(goals[b]), 100*best[b]/goals[b], count[b], (best[b] > goals[b] ? "  MISSED" : "") }; exit failed }'

EVENTS ?= 10000000

bench-ledger: ## compare ingesting and measuring with plain ways on the same database (EVENTS=2000000 for a quick look)
	@(PERENNIAL_BENCH_EVENTS=$(EVENTS) go test -timeout 60m -run '^$$' -bench 'Ingest|Measuring' -benchtime 5x ./cmd/perennial ./postgres; \
	PERENNIAL_BENCH_EVENTS=$(EVENTS) go test -timeout 60m -run '^$$' -bench ServerMemory -benchtime 1x ./cmd/perennial) | awk ' \
		BEGIN { printf "%-32s %14s %14s %10s %10s\n", "benchmark", "ours", "plain", "ratio", "goal" } \
		/^(FAIL|panic|---)/ { print; failed = 1 } \
		/^Benchmark/ { for (i = 3; i < NF; i += 2) { value[$$(i+1)] = $$i } \
			if ("MB" in value) { printf "%-32s %14s %14s %10s %3s %6.0f%s\n", $$1, sprintf("%.0f MB", value["MB"]), sprintf("ingest %.0f", value["ingesting-MB"]), "", \
				"<=", value["goal-MB"], (value["MB"] > value["goal-MB"] ? "  MISSED" : ""); delete value; next } \
			unit = ("ms" in value) ? "ms" : "rows/s"; more = unit == "ms" ? value["ratio"] > value["goal-ratio"] : value["ratio"] < value["goal-ratio"]; \
			printf "%-32s %14s %14s %10.2f %3s %6.2f%s\n", $$1, sprintf("%.0f %s", value[unit], unit), sprintf("%.0f %s", value["floor-" unit], unit), \
			value["ratio"], unit == "ms" ? "<=" : ">=", value["goal-ratio"], more ? "  MISSED" : ""; delete value } \
		END { exit failed }'

FUZZTIME ?= 30s
FUZZ ?= Fuzz

fuzz: ## fuzz every target for 30 s each (FUZZTIME=5m; FUZZ=Means for those with that in their name)
	@failed=; for file in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' $$file | grep '$(FUZZ)'); do \
			echo "== $$target of $$(dirname $$file), $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$(dirname $$file) || failed="$$failed $$target"; \
		done; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

RUNS ?= 20000
SEED ?= 7

simulate: ## play the simulations and write docs/methods/validation.md, about an hour of processor time (RUNS=5000 SEED=8)
	@echo "$(RUNS) runs per scenario from seed $(SEED), on all cores"
	go test -run '^TestTables$$' -count 1 -v -timeout 12h ./stats/simulation -sim.runs=$(RUNS) -sim.seed=$(SEED) -sim.write

build: ## build bin/perennial (the first time compiles everything, which takes minutes)
	@echo "building bin/perennial …"
	@go build -o bin/perennial ./cmd/perennial
