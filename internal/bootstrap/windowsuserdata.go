package bootstrap

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// What cloudbase-init heeds of a cloud-config, as far as Cluster API's bootstrap
// provider writes it. The rest it passes over with a line in its log, and the
// machine would lack what somebody asked for: that is refused here, by name.
var (
	windowsKeys     = []string{"write_files", "runcmd", "ntp", "users"}
	windowsFileKeys = []string{"path", "content", "encoding", "permissions", "owner", "append"}
	windowsUserKeys = []string{"name", "gecos", "passwd", "primary_group", "groups", "inactive", "ssh_authorized_keys"}
	windowsNTPKeys  = []string{"enabled", "servers", "pools"}
)

var (
	keyName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,40}$`)
	// joinCommand is how Cluster API's bootstrap provider joins a machine, and how it
	// learns of success.
	joinCommand = regexp.MustCompile(`^kubeadm join --config /run/kubeadm/kubeadm-join-config\.yaml\s+(--v[ =]\d+\s+)?&& echo success > /run/cluster-api/bootstrap-success\.complete$`)
	runsKubeadm = regexp.MustCompile(`(?i)\bkubeadm(\.exe)?["']?\s+(init|join)\b`)
)

// windowsUserData is what the bootstrap provider wrote for Linux, as
// cloudbase-init can do it.
func (in *Input) windowsUserData() (windowsConfig, error) {
	var c windowsConfig
	if len(in.UserData) == 0 {
		return c, nil
	}
	text, err := in.rendered()
	if err != nil {
		return c, err
	}
	// The parser's own messages quote what they could not read.
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return c, errors.New("cannot be read as YAML")
	}
	keys, err := mapping(asJSON, "cloud-config", windowsKeys)
	if err != nil {
		return c, err
	}
	if c.WriteFiles, err = windowsWriteFiles(keys["write_files"]); err != nil {
		return c, err
	}
	if c.NTP, err = windowsNTP(keys["ntp"]); err != nil {
		return c, err
	}
	if c.Users, err = windowsUsers(keys["users"]); err != nil {
		return c, err
	}
	c.RunCmd, err = windowsCommands(keys["runcmd"])
	return c, err
}

// mapping reads a map all of whose keys must be known.
func mapping(raw json.RawMessage, what string, known []string) (map[string]json.RawMessage, error) {
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, fmt.Errorf("%s is not a map", what)
	}
	for key := range keys {
		if slices.Contains(known, key) {
			continue
		}
		if !keyName.MatchString(key) {
			return nil, fmt.Errorf("%s has a key that is not known", what)
		}
		return nil, fmt.Errorf("%s has %s, which cloudbase-init would not heed", what, key)
	}
	return keys, nil
}

// entries reads a list of maps into values of one type.
func entries[T any](raw json.RawMessage, what string, known []string) ([]T, error) {
	var list []json.RawMessage
	if len(raw) > 0 && json.Unmarshal(raw, &list) != nil {
		return nil, fmt.Errorf("%s is not a list", what)
	}
	values := make([]T, len(list))
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", what, i)
		if _, err := mapping(item, at, known); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(item, &values[i]); err != nil {
			return nil, fmt.Errorf("%s has a value of the wrong type", at)
		}
	}
	return values, nil
}

func windowsWriteFiles(raw json.RawMessage) ([]windowsFile, error) {
	files, err := entries[struct {
		windowsFile `json:",inline"`
		Owner       string `json:"owner"`
	}](raw, "write_files", windowsFileKeys)
	if err != nil {
		return nil, err
	}
	var out []windowsFile
	for i, f := range files {
		at := fmt.Sprintf("write_files[%d]", i)
		if f.Path, err = windowsPath(f.Path); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		// Cluster API gives all its own files to root; nobody else can be meant on
		// Windows.
		if f.Owner != "" && f.Owner != "root:root" {
			return nil, fmt.Errorf("%s has an owner, which cloudbase-init would not heed", at)
		}
		if f.Permissions != "" && !permissionsForm.MatchString(f.Permissions) {
			return nil, fmt.Errorf("%s: permissions are not octal, such as '0640'", at)
		}
		switch strings.ToLower(f.Encoding) {
		case "", "text/plain":
			f.Encoding, f.Content = "b64", base64.StdEncoding.EncodeToString([]byte(f.Content))
		case "b64", "base64", "gz+b64", "gz+base64", "gzip+b64", "gzip+base64":
		default:
			return nil, fmt.Errorf("%s: the encoding is not known to cloudbase-init", at)
		}
		out = append(out, f.windowsFile)
	}
	return out, nil
}

// windowsPath puts a path of Cluster API on the system drive.
func windowsPath(path string) (string, error) {
	full := strings.ReplaceAll(path, "/", `\`)
	if strings.HasPrefix(full, `\`) {
		full = systemDrive + full
	}
	if !windowsPathForm.MatchString(full) || slices.Contains(strings.Split(full, `\`), "..") {
		return "", fmt.Errorf("%q is not an absolute path", path)
	}
	return full, nil
}

func windowsNTP(raw json.RawMessage) (*ntp, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if _, err := mapping(raw, "ntp", windowsNTPKeys); err != nil {
		return nil, err
	}
	settings := struct {
		Enabled        *bool
		Servers, Pools []string
	}{}
	if err := json.Unmarshal(raw, &settings); err != nil {
		return nil, errors.New("ntp has a value of the wrong type")
	}
	return &ntp{Enabled: settings.Enabled == nil || *settings.Enabled, Servers: append(settings.Servers, settings.Pools...)}, nil
}

func windowsUsers(raw json.RawMessage) ([]windowsUser, error) {
	type written struct {
		windowsUser `json:",inline"`
		// Groups are a list, or a text with commas.
		Groups json.RawMessage `json:"groups"`
	}
	users, err := entries[written](raw, "users", windowsUserKeys)
	if err != nil {
		return nil, err
	}
	var out []windowsUser
	for i, u := range users {
		if u.Name == "" {
			return nil, fmt.Errorf("users[%d] has no name", i)
		}
		if u.windowsUser.Groups, err = textOrList(u.Groups); err != nil {
			return nil, fmt.Errorf("users[%d]: groups are %w", i, err)
		}
		out = append(out, u.windowsUser)
	}
	return out, nil
}

func textOrList(raw json.RawMessage) ([]string, error) {
	var list []string
	if len(raw) == 0 || json.Unmarshal(raw, &list) == nil {
		return list, nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, errors.New("neither a text nor a list of texts")
	}
	for item := range strings.SplitSeq(text, ",") {
		list = append(list, strings.TrimSpace(item))
	}
	return list, nil
}

// windowsCommands puts the one command that is Cluster API's own into the words of
// cmd.exe. Others were written by somebody who knew that they are for Windows.
func windowsCommands(raw json.RawMessage) ([]string, error) {
	var list []json.RawMessage
	if len(raw) > 0 && json.Unmarshal(raw, &list) != nil {
		return nil, errors.New("runcmd is not a list")
	}
	var lines, leave []string
	for i, item := range list {
		command, err := commandLine(item)
		if err != nil {
			return nil, fmt.Errorf("runcmd[%d] is %w", i, err)
		}
		switch match := joinCommand.FindStringSubmatch(command); {
		case match != nil:
			config := runDir + `\kubeadm\kubeadm-join-config.yaml`
			lines = append(lines,
				onlyAdministrators(runDir, "(OI)(CI)")+" /T /Q",
				strings.Join(strings.Fields("kubeadm join --config "+config+" "+match[1]), " ")+
					` && echo success > `+runDir+`\cluster-api\bootstrap-success.complete`)
			// Unlike Linux's /run, this folder is still there after a restart.
			leave = append(leave, "del /f /q "+config)
		case runsKubeadm.MatchString(command):
			return nil, fmt.Errorf("runcmd[%d] runs kubeadm in a way that is not known: Windows machines can join a cluster, and nothing else", i)
		default:
			lines = append(lines, command)
		}
	}
	return append(lines, leave...), nil
}

// commandLine is a command as cloudbase-init makes a line of it.
func commandLine(raw json.RawMessage) (string, error) {
	var line string
	if json.Unmarshal(raw, &line) == nil {
		return line, nil
	}
	var words []string
	if json.Unmarshal(raw, &words) == nil {
		return strings.Join(words, " "), nil
	}
	return "", errors.New("neither a text nor a list of texts")
}
