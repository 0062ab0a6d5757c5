package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed published.go
var publishedRecipe string

// releases is where Kubernetes publishes its programs, each with its SHA-256 beside it.
const releases = "https://dl.k8s.io"

// publishedKubernetes fetches the programs of a node. What runs in containers comes
// as container images.
func (b *builder) publishedKubernetes(ctx context.Context) ([]program, error) {
	version := b.description.Kubernetes.Version
	names := b.description.Kubernetes.Programs
	dir, err := b.cache.step(ctx, "published", key(publishedRecipe, version, strings.Join(names, ",")), func(ctx context.Context, dir string) error {
		for _, name := range names {
			if err := fetch(ctx, http.DefaultClient, releases+"/"+version+"/bin/linux/amd64/"+name, filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	})
	var all []program
	for _, name := range names {
		all = append(all, program{name: name, file: filepath.Join(dir, name), version: version, at: path.Join("/usr/bin", name)})
	}
	return all, err
}

var sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)

// fetch gets a program and believes it only if its checksum is the one that is
// published beside it.
func fetch(ctx context.Context, client *http.Client, url, file string) error {
	var want strings.Builder
	if err := get(ctx, client, url+".sha256", &want, 1<<10); err != nil {
		return err
	}
	sum := strings.TrimSpace(want.String())
	if !sha256Text.MatchString(sum) {
		return fmt.Errorf("%s.sha256 holds no SHA-256", url)
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	if err := get(ctx, client, url, out, 1<<30); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	got, err := digest(file)
	if err != nil {
		return err
	}
	if got != sum {
		return fmt.Errorf("%s has SHA-256 %s, but %s is published", url, got, sum)
	}
	return nil
}

func get(ctx context.Context, client *http.Client, url string, to io.Writer, limit int64) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: %s", url, response.Status)
	}
	n, err := io.Copy(to, io.LimitReader(response.Body, limit+1))
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	if n > limit {
		return fmt.Errorf("fetch %s: more than %d bytes", url, limit)
	}
	return nil
}
