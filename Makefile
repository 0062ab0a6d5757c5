# What a person types. Anything longer than a line is a script under hack/.

SHELL := /bin/bash -euo pipefail
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what can be made (the default)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build all binaries into bin/: manager, agents (Windows, too), development tools
	hack/build.sh

.PHONY: test
test: ## Run all tests with the race detector (first run: builds the API server they use)
	hack/test.sh

.PHONY: test-story
test-story: build ## Tell the demo's story while manager and agents are killed at random moments
	hack/story.sh

.PHONY: test-ha
test-ha: build ## Grow and shrink a control plane; take its hosts, volumes, all power and the management cluster away; fail over, drain, sweep orphans
	hack/ha.sh

.PHONY: test-clients
test-clients: build ## Replace all load-balancer VMs and control-plane machines under curl and kubectl
	hack/clients.sh

.PHONY: test-namespaces
test-namespaces: build ## Delete namespaces with clusters in them, whose neighbours have clusters of the same name
	hack/namespaces.sh

.PHONY: test-rollout
test-rollout: ## Edit NodePools 200 times in a minute, and see what is rolled out
	hack/rollout.sh

.PHONY: test-lb
test-lb: ## Do to load-balancer VMs what befalls such VMs, under 5,000 connections a second
	hack/lb.sh

.PHONY: test-machinectr
test-machinectr: ## Run the driver of machine containers through the conformance suite, and boot the node image
	hack/machinectr.sh

.PHONY: demo
demo: build ## Bring it all up and stay up; ONCE=1: tell it to its end; DRIVER=machinectr: with real guests (as root); DRIVER=hypervfake: by the driver that ships, on a fake Hyper-V
	hack/demo.sh $(if $(DRIVER),-driver "$(DRIVER)") $(if $(filter-out 0,$(ONCE)),-once)

.PHONY: e2e
e2e: build ## Real guests, kubeadm, etcd, HAProxy and keepalived in machine containers (as root); STEPS=1: the first step alone
	hack/e2e.sh $(if $(STEPS),-steps "$(STEPS)")

.PHONY: chaos
chaos: build ## Have FAULTS=200 faults befall everything by SEED=1 while a user builds and deletes, and audit what comes of it
	hack/chaos.sh -seed $(or $(SEED),1) -faults $(or $(FAULTS),200) $(if $(ONLY),-only "$(ONLY)") $(if $(PLANT),-plant "$(PLANT)")

.PHONY: chaos-planted
chaos-planted: build ## Plant three errors in agents, and see that make chaos fails by each
	hack/chaos.sh --planted

.PHONY: bench-scale
bench-scale: build ## Bring CLUSTERS=100 clusters up at once on simulated hosts, and say what it took
	assets=$$(hack/kube-assets.sh); exec bin/scale -assets "$$assets" -clusters $(or $(CLUSTERS),100) $(SCALE_FLAGS)

.PHONY: bench-place
bench-place: ## Place 10,000 VMs on 500 hosts and 2,000 CSVs, then one more, and say how even it came out
	source hack/env.sh; go build -o bin/place ./test/bench/place; exec bin/place $(PLACE_FLAGS)

.PHONY: bench-lb
bench-lb: build ## Measure takeovers of a VIP, planned changes under 5,000 connections a second, and Services
	hack/packages.sh lb; assets=$$(hack/kube-assets.sh); exec bin/lb -assets "$$assets" $(LB_FLAGS)

.PHONY: image
image: ## Make the Linux node image, from Debian packages and Go modules (needs root)
	hack/image.sh $(IMAGE_FLAGS)

.PHONY: image-check
image-check: image ## Boot the node image under QEMU with a seed, and again without (minutes: all is emulated)
	hack/image-check.sh

.PHONY: verify
verify: ## Lint, generated files in step, Windows build, boundaries, vulnerabilities
	hack/verify.sh

.PHONY: generate
generate: ## Write the generated files: deep copies, manifests, protobuf code
	hack/generate.sh

.PHONY: fmt
fmt: ## Format the Go code
	"$$(hack/tool.sh golangci-lint)" fmt

.PHONY: lint
lint: ## Lint the Go code alone (make verify does, too)
	source hack/env.sh; "$$(hack/tool.sh golangci-lint)" run

.PHONY: clean
clean: ## Remove bin/ and what demo, tests and measurements left; built tools stay in .cache/
	@! grep -sE " $(CURDIR)/\.(demo|e2e)/" /proc/mounts || { echo "clean: make demo or make e2e has hosts there: end it, or after kill -9 run it once more" >&2; exit 1; }
	rm -rf --one-file-system bin .bench .chaos .clients .demo .e2e .ha .namespaces .story

.PHONY: distclean
distclean: clean ## Remove .cache/, too: the next run builds its tools again
	rm -rf .cache
