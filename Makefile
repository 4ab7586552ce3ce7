# Perennial: what a person does with the project. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt bench build

# The race detector needs a C compiler. Without one the tests run without it, and say so.
RACE := $(shell command -v cc >/dev/null 2>&1 && echo -race)
LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: build ## watch a test run, decide and promote its winner (DEMO_ARGS=--once to exit at the end)
	@bin/perennial demo $(DEMO_ARGS)

test: ## run all tests against a real PostgreSQL of their own
	@[ -n "$(RACE)" ] || echo "no C compiler: the tests run without the race detector"
	go test $(RACE) -timeout 20m ./...

lint: ## run the linters (builds them the first time, which takes minutes)
	go vet ./...
	$(LINT) run

fmt: ## format the code
	$(LINT) fmt

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

build: ## build bin/perennial (the first time compiles everything, which takes minutes)
	@echo "building bin/perennial …"
	@go build -o bin/perennial ./cmd/perennial
