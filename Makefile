# Tools are pinned in internal/pins and built once, in a cache folder outside the
# repository. `work` stands for all modules of the workspace, or for the only module.
GO    ?= go
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gateway
KEY   := $(shell $(GO) env GOVERSION)-$(word 1,$(shell cat internal/pins/go.mod internal/pins/go.sum | cksum))
TOOLS := $(CACHE)/tools-$(KEY)

FUZZTIME  ?= 15s
BENCHTIME ?= 1s
COUNT     ?= 1

modules  = $(shell $(GO) list -m -f '{{.Dir}}')

.PHONY: check fmt format vet lint test-short tidy test race fuzz e2e bench

check: fmt vet lint test-short tidy ## everything a change must pass before review

fmt: $(TOOLS)
	@unformatted=$$($(TOOLS)/gofumpt -l .) && \
	if [ -n "$$unformatted" ]; then echo "make format would change:"; echo "$$unformatted"; exit 1; fi

format: $(TOOLS) ## rewrite the files that fmt and gci would change
	@for dir in $(modules); do (cd "$$dir" && $(TOOLS)/golangci-lint fmt ./...) || exit 1; done

vet:
	$(GO) vet work

lint: $(TOOLS)
	@for dir in $(modules); do (cd "$$dir" && $(TOOLS)/golangci-lint run ./...) || exit 1; done

test-short:
	$(GO) test -race -short work

tidy:
	@for dir in $(modules); do (cd "$$dir" && $(GO) mod tidy -diff) || exit 1; done

test: ## all tests in their short form; needs only Go: a test whose outside client is missing is skipped
	CGO_ENABLED=0 $(GO) test work

race: ## all tests in their long form, with the race detector, which needs a C compiler
	GATEWAY_LONG=1 $(GO) test -race work

fuzz: ## every fuzz target for FUZZTIME, one after another
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

e2e: ## the tests with outside clients, which must all be installed
	npm --prefix internal/suites/e2e install --no-package-lock --no-audit --no-fund
	GATEWAY_E2E=1 GATEWAY_LONG=1 $(GO) test -race -count 1 ./internal/suites/e2e/...

bench: ## COUNT=10 make bench > new.txt, then benchstat old.txt new.txt
	@$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -count $(COUNT) work

$(TOOLS): # the name changes with the list in internal/pins, so the folder is never out of date
	rm -rf $@.new
	cd internal/pins && GOWORK=off GOBIN=$@.new $(GO) install tool
	mv $@.new $@
