package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// counters are metrics of an API server that only grow, by name and labels.
type counters map[string]float64

// counted are the metrics that tell what an API server was asked and whom it
// asked itself, with the labels that are of interest.
var counted = map[string][]string{
	"apiserver_request_total":                                 {"verb", "group", "resource", "subresource", "code"},
	"apiserver_admission_webhook_request_total":               {"name", "operation", "code"},
	"apiserver_crd_conversion_webhook_duration_seconds_count": {"from_version", "to_version"},
	"etcd_requests_total":                                     {"operation"},
}

func scrape(ctx context.Context, config *rest.Config) (counters, error) {
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reaching the management API server: %w", err)
	}
	text, err := api.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of the API server: %w", err)
	}
	return parseCounters(string(text))
}

var (
	sample = regexp.MustCompile(`^(\w+)\{(.*)\} (\S+)$`)
	label  = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

func parseCounters(text string) (counters, error) {
	found := counters{}
	for line := range strings.Lines(text) {
		parts := sample.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil {
			continue
		}
		wanted, ok := counted[parts[1]]
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(parts[3], 64)
		if err != nil {
			return nil, fmt.Errorf("reading the metric %s: %w", parts[1], err)
		}
		values := map[string]string{}
		for _, pair := range label.FindAllStringSubmatch(parts[2], -1) {
			values[pair[1]] = pair[2]
		}
		name := parts[1]
		for _, l := range wanted {
			if values[l] != "" {
				name += " " + values[l]
			}
		}
		found[name] += value
	}
	return found, nil
}

// increase is by how much a counter grew.
type increase struct {
	name  string
	count float64
}

// since returns what grew since before, the most first.
func (c counters) since(before counters) []increase {
	var grown []increase
	for name, count := range c {
		if added := count - before[name]; added > 0 {
			grown = append(grown, increase{name, added})
		}
	}
	slices.SortFunc(grown, func(a, b increase) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.name, b.name))
	})
	return grown
}
