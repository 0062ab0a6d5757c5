package hyperv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// claim is taken before anything of a VM is made, and given back after everything is gone. It says where to look.
type claim struct {
	Stamp hostapi.Stamp `json:"capstan"`
	// Volumes are those on which files may be.
	Volumes []string `json:"volumes"`
	// Node is the host that defines the VM.
	Node string `json:"node"`
	// path is the claim's in WMI.
	path string
}

// claims are the claims of a host, or of its failover cluster.
type claims interface {
	list(ctx context.Context) ([]claim, error)
	// put takes the claim if it has no path yet, and writes down what it says.
	put(ctx context.Context, c claim) error
	release(ctx context.Context, c claim) error
}

// clusterClaims are groups of the failover cluster. The cluster itself sees to it that a name is taken once.
type clusterClaims struct{ own *node }

// claimPrefix begins the names of the groups. ID and installation follow: the name is all that can be said in the call
// that takes it.
const claimPrefix = "capstan "

// claimGroup is the type of a group that holds nothing.
const claimGroup = 9999

// destroyOnly are the options of DestroyGroup: it destroys the group and what is in it, and cleans up nothing beside.
const destroyOnly = 1

func claimName(s hostapi.Stamp) string { return claimPrefix + string(s.ID) + " " + s.Installation }

func (c clusterClaims) list(ctx context.Context) ([]claim, error) {
	groups, err := c.own.Query(ctx, wmi.Query{
		Namespace: wmi.Cluster, Class: "MSCluster_ResourceGroup", Properties: []string{"Name", "Description"},
	})
	if err != nil {
		return nil, err
	}
	var out []claim
	for _, g := range groups {
		rest, ours := strings.CutPrefix(g.String("Name"), claimPrefix)
		id, installation, whole := strings.Cut(rest, " ")
		if !ours || !whole {
			continue
		}
		var said claim
		// A claim that says nothing was just taken: there is nothing to look for yet.
		_ = json.Unmarshal([]byte(g.String("Description")), &said)
		said.Stamp, said.path = hostapi.Stamp{Installation: installation, ID: hostapi.VMID(id)}, g.Path
		out = append(out, said)
	}
	return out, nil
}

func (c clusterClaims) put(ctx context.Context, wanted claim) error {
	if wanted.path == "" {
		_, err := c.own.Call(ctx, wmi.ClassPath(wmi.Cluster, "MSCluster_ResourceGroup"), "CreateGroup", wmi.Values{
			"GroupName": claimName(wanted.Stamp), "GroupType": claimGroup,
		})
		if wmi.CodeOf(err) == wmi.CodeObjectExists {
			return hostapi.Errorf(hostapi.Transient, opEnsure, "", "another node has just claimed VM %s", wanted.Stamp.ID)
		}
		if err != nil {
			return err
		}
		found, err := c.own.Query(ctx, wmi.Query{
			Namespace: wmi.Cluster, Class: "MSCluster_ResourceGroup", Where: wmi.Values{"Name": claimName(wanted.Stamp)},
		})
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return &wmi.Error{Doing: "find the claim of VM " + string(wanted.Stamp.ID), Code: wmi.CodeNotFound}
		}
		wanted.path = found[0].Path
	}
	return c.own.Put(ctx, wanted.path, wmi.Values{"Description": encode(wanted)})
}

func (c clusterClaims) release(ctx context.Context, held claim) error {
	_, err := c.own.Call(ctx, held.path, "DestroyGroup", wmi.Values{"Options": destroyOnly})
	if wmi.NotFound(err) {
		return nil
	}
	return err
}

// fileClaims are files of a host that stands alone.
type fileClaims struct {
	files  hostfs.Files
	folder string
}

func (c fileClaims) list(context.Context) ([]claim, error) {
	entries, err := c.files.List(c.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []claim
	for _, e := range entries {
		if !strings.HasSuffix(e.Name, ".json") {
			continue
		}
		held, err := getJSON[claim](c.files, join(c.folder, e.Name))
		if err != nil {
			return nil, err
		}
		if held == nil || held.Stamp.ID == "" {
			// Without what it says, a VM could be doubled.
			return nil, fmt.Errorf("claim %s cannot be read", e.Name)
		}
		out = append(out, *held)
	}
	return out, nil
}

func (c fileClaims) path(id hostapi.VMID) string { return join(c.folder, string(id)+".json") }

func (c fileClaims) put(_ context.Context, wanted claim) error {
	if err := c.files.MakeFolder(c.folder); err != nil {
		return err
	}
	return c.files.Write(c.path(wanted.Stamp.ID), []byte(encode(wanted)))
}

func (c fileClaims) release(_ context.Context, held claim) error {
	err := c.files.Remove(c.path(held.Stamp.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// with returns the claim with more volumes.
func (c claim) with(volumes []string) (claim, bool) {
	out := c
	out.Volumes = slices.Clone(c.Volumes)
	for _, v := range volumes {
		if !slices.Contains(out.Volumes, v) {
			out.Volumes = append(out.Volumes, v)
		}
	}
	return out, len(out.Volumes) > len(c.Volumes)
}
