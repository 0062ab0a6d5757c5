package seed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// maxComputerName is where cloudbase-init cuts a host name off.
const maxComputerName = 15

// windowsKeys are what cloudbase-init heeds of a cloud-config.
// Source: cloudbaseinit/plugins/common/userdataplugins/cloudconfigplugins/factory.py.
var windowsKeys = []string{"write_files", "set_timezone", "timezone", "set_hostname", "hostname", "ntp", "groups", "users", "runcmd"}

var windowsPath = regexp.MustCompile(`^[A-Za-z]:\\([^<>:"/\\|?*\x00-\x1f]+\\)*[^<>:"/\\|?*\x00-\x1f]+$`)

// ReadWindows reads the seed of a Windows machine as cloudbase-init does.
func ReadWindows(disk []byte, macs []string) (*Seed, error) {
	img, err := readImage(disk)
	if err != nil {
		return nil, err
	}
	meta, err := readMetaData(img.metaData)
	if err != nil {
		return nil, fmt.Errorf("meta-data: %w", err)
	}
	config, err := readWindowsUserData(img.userData, instanceData(meta))
	if err != nil {
		return nil, fmt.Errorf("user-data: %w", err)
	}
	nics, err := readWindowsNetwork(img.networkConfig, macs)
	if err != nil {
		return nil, fmt.Errorf("network-config: %w", err)
	}
	if len(meta.LocalHostname) > maxComputerName {
		return nil, fmt.Errorf("meta-data: the computer would be called %q, which is what cloudbase-init leaves of local-hostname %q",
			meta.LocalHostname[:maxComputerName], meta.LocalHostname)
	}
	return &Seed{InstanceID: meta.InstanceID, Hostname: meta.LocalHostname, NICs: nics, Config: config}, nil
}

// readWindowsUserData reads one cloud-config. An archive would be taken apart, but
// none of its parts rendered or merged.
func readWindowsUserData(data []byte, vars map[string]string) (Config, error) {
	if err := refuseArchive(data); err != nil {
		return Config{}, err
	}
	text := string(data)
	if isJinja(text) {
		_, rest, _ := strings.Cut(text, "\n")
		rendered, err := render(rest, vars)
		if err != nil {
			return Config{}, err
		}
		text = rendered
	}
	if !strings.HasPrefix(text, cloudConfigHeader) {
		return Config{}, fmt.Errorf("it does not begin with %q", cloudConfigHeader)
	}
	keys := map[string]json.RawMessage{}
	if err := yaml.UnmarshalStrict([]byte(text), &keys); err != nil {
		return Config{}, fmt.Errorf("it is not a cloud-config: %w", yamlProblem(err))
	}
	for key := range keys {
		if !slices.Contains(windowsKeys, key) {
			return Config{}, fmt.Errorf("cloudbase-init does not know the cloud-config key %q", key)
		}
	}
	return windowsConfig(keys)
}

// refuseArchive says what would become of an archive.
func refuseArchive(data []byte) error {
	head, _, _ := bytes.Cut(data, []byte("\n\n"))
	if !bytes.Contains(head, []byte("Content-Type: multipart")) {
		return nil
	}
	if bytes.Contains(data, []byte("\nContent-Type: text/jinja2")) {
		return errors.New("it is a MIME archive with a part of type text/jinja2, for which cloudbase-init has no plugin: is this the seed of a Linux machine?")
	}
	return errors.New("it is a MIME archive, whose parts cloudbase-init neither renders nor merges")
}

func windowsConfig(keys map[string]json.RawMessage) (Config, error) {
	cfg := Config{Files: map[string]File{}}
	// cloudbase-init heeds no owner, nor the time of writing.
	var files []struct {
		Path        string `json:"path"`
		Content     string `json:"content"`
		Encoding    string `json:"encoding"`
		Permissions string `json:"permissions"`
		Append      bool   `json:"append"`
	}
	if err := decodeStrictly(keys["write_files"], &files); err != nil {
		return Config{}, errors.New("write_files has a wrong type, or a field that cloudbase-init does not know")
	}
	for i, f := range files {
		if !windowsPath.MatchString(f.Path) {
			return Config{}, fmt.Errorf("write_files[%d]: %q is not an absolute path with a drive", i, f.Path)
		}
		content, err := decodeContent(f.Content, f.Encoding)
		if err != nil {
			return Config{}, fmt.Errorf("write_files[%d]: %s: %w", i, f.Path, err)
		}
		if old, ok := cfg.Files[f.Path]; ok && f.Append {
			content = append(slices.Clone(old.Content), content...)
		}
		cfg.Files[f.Path] = File{Content: content, Permissions: f.Permissions}
	}
	var commands []json.RawMessage
	if err := decodeStrictly(keys["runcmd"], &commands); err != nil {
		return Config{}, errors.New("runcmd is not a list")
	}
	for i, c := range commands {
		command, err := decodeCommand(c)
		if err != nil {
			return Config{}, fmt.Errorf("runcmd[%d]: %w", i, err)
		}
		cfg.Commands = append(cfg.Commands, command)
	}
	return cfg, nil
}

func decodeStrictly(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
