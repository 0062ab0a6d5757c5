package seed

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sort"
	"strings"
)

// Config is the merged cloud-config of a machine, as far as a simulated guest
// acts on it.
type Config struct {
	// Files are the files it writes, by path.
	Files map[string]File
	// Commands are the commands that are run once, in order.
	Commands []string
}

// File is a file that cloud-init writes.
type File struct {
	Content     []byte
	Permissions string
}

type rawConfig struct {
	WriteFiles []writeFile       `json:"write_files"`
	RunCmd     []json.RawMessage `json:"runcmd"`
}

type writeFile struct {
	Path        string `json:"path"`
	Content     string `json:"content"`
	Encoding    string `json:"encoding"`
	Owner       string `json:"owner"`
	Permissions string `json:"permissions"`
	Append      bool   `json:"append"`
	Defer       bool   `json:"defer"`
}

// knownKeys are the cloud-config keys that a guest accepts without acting on
// them. Unknown keys are what cloud-init warns about.
var knownKeys = []string{
	"write_files", "runcmd", "bootcmd", "users", "ntp", "timezone", "ca_certs", "ca-certs", "ssh_authorized_keys",
	"ssh_pwauth", "disk_setup", "fs_setup", "mounts", "packages", "package_update", "package_upgrade", "hostname", "fqdn",
	"manage_etc_hosts", "preserve_hostname", "growpart", "resize_rootfs", "disable_root", "final_message", "apt", "swap",
	"power_state", "chpasswd", "groups", "user", "ssh_deletekeys", "locale", "network", "prefer_fqdn_over_hostname",
}

func decodeConfig(merged map[string]any) (Config, []string, error) {
	var warnings []string
	for key := range merged {
		if !slices.Contains(knownKeys, key) {
			warnings = append(warnings, fmt.Sprintf("cloud-config key %q is not known and was ignored", key))
		}
	}
	sort.Strings(warnings)
	// write_files and runcmd alone are decoded: everything else is free-form.
	data, err := json.Marshal(map[string]any{"write_files": merged["write_files"], "runcmd": merged["runcmd"]})
	if err != nil {
		return Config{}, nil, errors.New("the merged cloud-config cannot be read")
	}
	var raw rawConfig
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&raw); err != nil {
		return Config{}, nil, errors.New("write_files or runcmd has a wrong type or an unknown field")
	}
	cfg := Config{Files: map[string]File{}}
	for i, f := range raw.WriteFiles {
		if err := cfg.write(f); err != nil {
			return Config{}, nil, fmt.Errorf("write_files[%d]: %w", i, err)
		}
	}
	for i, c := range raw.RunCmd {
		command, err := decodeCommand(c)
		if err != nil {
			return Config{}, nil, fmt.Errorf("runcmd[%d]: %w", i, err)
		}
		cfg.Commands = append(cfg.Commands, command)
	}
	return cfg, warnings, nil
}

func (c *Config) write(f writeFile) error {
	if !path.IsAbs(f.Path) {
		return fmt.Errorf("path %q is not absolute", f.Path)
	}
	content, err := decodeContent(f.Content, f.Encoding)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if old, ok := c.Files[f.Path]; ok && f.Append {
		content = append(slices.Clone(old.Content), content...)
	}
	c.Files[f.Path] = File{Content: content, Permissions: f.Permissions}
	return nil
}

func decodeContent(content, encoding string) ([]byte, error) {
	data := []byte(content)
	var steps []string
	switch strings.ToLower(encoding) {
	case "", "text/plain":
	case "b64", "base64":
		steps = []string{"base64"}
	case "gz", "gzip":
		steps = []string{"gzip"}
	case "gz+b64", "gzip+b64", "gz+base64", "gzip+base64":
		steps = []string{"base64", "gzip"}
	default:
		return nil, fmt.Errorf("encoding %q is not known", encoding)
	}
	for _, step := range steps {
		var err error
		switch step {
		case "base64":
			data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), ""))
		case "gzip":
			data, err = gunzip(data)
		}
		if err != nil {
			return nil, fmt.Errorf("the content is not %s", step)
		}
	}
	return data, nil
}

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxFileBytes))
}

// decodeCommand returns a command of runcmd, which is a line for the shell or a
// list of arguments.
func decodeCommand(raw json.RawMessage) (string, error) {
	var line string
	if err := json.Unmarshal(raw, &line); err == nil {
		return line, nil
	}
	var args []string
	if err := json.Unmarshal(raw, &args); err == nil {
		return strings.Join(args, " "), nil
	}
	return "", errors.New("it is neither a text nor a list of texts")
}
