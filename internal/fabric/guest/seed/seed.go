package seed

import (
	"errors"
	"fmt"
	"regexp"

	"sigs.k8s.io/yaml"
)

// Seed is what a guest knows of itself after cloud-init has read its seed.
type Seed struct {
	// InstanceID tells one life of a machine from the next: cloud-init
	// initialises a machine once per instance ID.
	InstanceID string
	Hostname   string
	NICs       []NIC
	Config     Config
	// Warnings are what cloud-init would log without failing.
	Warnings []string
}

type metaData struct {
	InstanceID    string `json:"instance-id"`
	LocalHostname string `json:"local-hostname"`
}

// hostnamePattern is a lower-case RFC 1123 subdomain, which a Node's name must
// be.
var hostnamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// Read reads the seed of a machine whose network adapters have the given MAC
// addresses, in order.
func Read(disk []byte, macs []string) (*Seed, error) {
	img, err := readImage(disk)
	if err != nil {
		return nil, err
	}
	meta, err := readMetaData(img.metaData)
	if err != nil {
		return nil, fmt.Errorf("meta-data: %w", err)
	}
	nics, err := readNetworkConfig(img.networkConfig, macs)
	if err != nil {
		return nil, fmt.Errorf("network-config: %w", err)
	}
	config, warnings, err := readUserData(img.userData, instanceData(meta))
	if err != nil {
		return nil, fmt.Errorf("user-data: %w", err)
	}
	return &Seed{
		InstanceID: meta.InstanceID, Hostname: meta.LocalHostname,
		NICs: nics, Config: config, Warnings: warnings,
	}, nil
}

func readMetaData(data []byte) (metaData, error) {
	var m metaData
	if err := yaml.Unmarshal(data, &m); err != nil {
		return metaData{}, errors.New("it is not YAML with string values")
	}
	if m.InstanceID == "" {
		return metaData{}, errors.New("instance-id is missing")
	}
	if m.LocalHostname == "" {
		return metaData{}, errors.New("local-hostname is missing")
	}
	if !hostnamePattern.MatchString(m.LocalHostname) || len(m.LocalHostname) > 63 {
		return metaData{}, fmt.Errorf("local-hostname %q is not a host name of at most 63 characters", m.LocalHostname)
	}
	return m, nil
}

// instanceData is what a jinja template may ask for, under every spelling that
// cloud-init offers.
func instanceData(m metaData) map[string]string {
	return map[string]string{
		"ds.meta_data.instance_id":    m.InstanceID,
		"ds.meta_data.local_hostname": m.LocalHostname,
		"v1.instance_id":              m.InstanceID,
		"v1.local_hostname":           m.LocalHostname,
		"instance_id":                 m.InstanceID,
		"local_hostname":              m.LocalHostname,
	}
}
