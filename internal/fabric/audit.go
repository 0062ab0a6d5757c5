package fabric

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// World returns all there is, also what no host can see now.
func (a *Admin) World(context.Context, fabricapi.None) (out fabricapi.World, err error) {
	err = a.w.locked(func() error {
		for _, name := range sortedKeys(a.w.hosts) {
			h := a.w.hosts[name]
			out.Hosts = append(out.Hosts, fabricapi.AdminHost{
				Host: h.describe(), Site: h.site.name, Up: h.DownSince == nil, Frozen: h.frozen != nil, Isolated: h.isolated,
			})
		}
		for _, name := range sortedKeys(a.w.sites) {
			out.Sites = append(out.Sites, a.w.sites[name].describe())
		}
		for _, source := range sortedKeys(a.w.images) {
			out.Images = append(out.Images, a.w.images[source])
		}
		return nil
	})
	return out, err
}

func (s *site) describe() fabricapi.Site {
	out := fabricapi.Site{Name: s.name, Cluster: s.cluster}
	for _, name := range sortedKeys(s.volumes) {
		v := s.volumes[name]
		out.Volumes = append(out.Volumes, v.describe(true))
		for _, path := range sortedKeys(v.files) {
			out.Files = append(out.Files, *v.files[path])
		}
	}
	for _, guid := range sortedKeys(s.vms) {
		out.VMs = append(out.VMs, s.vms[guid].view())
	}
	for _, name := range sortedKeys(s.roles) {
		out.Roles = append(out.Roles, *s.roles[name])
	}
	return out
}
