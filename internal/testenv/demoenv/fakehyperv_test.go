package demoenv

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func onVolume(path string, kind fabricapi.FileKind) fabricapi.File {
	return fabricapi.File{FileRef: fabricapi.FileRef{Volume: "csv1", Path: path}, Kind: kind, FileBytes: 5}
}

func TestAuditorFindsWhatIsLeftInAFakeHyperV(t *testing.T) {
	image := onVolume(`capstan\images\0a.vhdx`, fabricapi.VHDX)
	image.Image = &fabricapi.ImageInfo{TotalBytes: 5}
	record := onVolume(`capstan\images\0a.json`, fabricapi.OtherFile)
	elsewhere := record
	elsewhere.Volume = "csv2"
	folders := []fabricapi.File{
		onVolume("capstan", fabricapi.Folder), onVolume(`capstan\images`, fabricapi.Folder), onVolume(`capstan\vms`, fabricapi.Folder),
	}
	for name, c := range map[string]struct {
		world fabricapi.World
		left  []string
	}{
		"the driver's own folders":          {of(folders...), nil},
		"a staged image, with its record":   {of(image, record), nil},
		"a record without its image":        {of(record), []string{`0a.json`}},
		"a record of an image elsewhere":    {of(image, elsewhere), []string{`0a.json`}},
		"a copy that never became an image": {of(onVolume(`capstan\images\0b.partial.vhdx`, fabricapi.VHDX)), []string{`0b.partial.vhdx`}},
		"a VM's folder, though it is empty": {of(onVolume(`capstan\vms\1`, fabricapi.Folder)), []string{`capstan\vms\1`}},
		"a seed":                            {of(onVolume(`capstan\vms\1\seed.iso`, fabricapi.ISO)), []string{`seed.iso`}},
		"a VM and its clustered role": {fabricapi.World{Sites: []fabricapi.Site{{
			VMs: []fabricapi.VM{{Name: "a"}}, Roles: []fabricapi.Role{{Name: "a"}},
		}}}, []string{"VM a", "claim a"}},
		"a call that no host knows": {fabricapi.World{Complaints: []string{"class A has no property B"}}, []string{"class A has no property B"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			found := leftInHyperV(c.world)
			g.Expect(found).To(HaveLen(len(c.left)))
			for i, said := range c.left {
				g.Expect(found[i]).To(ContainSubstring(said))
			}
		})
	}
}

func of(files ...fabricapi.File) fabricapi.World {
	return fabricapi.World{Sites: []fabricapi.Site{{Name: "fc1", Cluster: true, Files: files}}}
}
