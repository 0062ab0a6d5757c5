package bootstrap

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
)

// VolumeLabel is the label by which cloud-init and cloudbase-init find the seed.
const VolumeLabel = "cidata"

// Names of the files of a seed.
const (
	UserDataFile      = "user-data"
	MetaDataFile      = "meta-data"
	NetworkConfigFile = "network-config"
)

// Seed returns the image of the seed DVD. Errors about the input are joined
// *FieldErrors.
func Seed(in Input) ([]byte, error) {
	if err := in.validate(); err != nil {
		return nil, fmt.Errorf("seed of VM %s: %w", in.Identity.VM, err)
	}
	files, err := in.files()
	if err != nil {
		return nil, fmt.Errorf("seed of VM %s: %w", in.Identity.VM, err)
	}
	size := 0
	for _, f := range files {
		size += len(f.Content)
	}
	if size > MaxBytes {
		return nil, fmt.Errorf("seed of VM %s: %w", in.Identity.VM, &FieldError{
			Field: "userData", Err: fmt.Errorf("makes a seed of %d bytes with all additions, more than %d", size, MaxBytes),
		})
	}
	image, err := iso9660.Image(VolumeLabel, files)
	if err != nil {
		return nil, fmt.Errorf("seed of VM %s: write image: %w", in.Identity.VM, err)
	}
	return image, nil
}

func (in *Input) files() ([]iso9660.File, error) {
	if in.OS == Windows {
		return in.windowsFiles()
	}
	return in.linuxFiles()
}

// linuxFiles are the files of a seed for cloud-init.
func (in *Input) linuxFiles() ([]iso9660.File, error) {
	ours, err := in.cloudConfig()
	if err != nil {
		return nil, err
	}
	userData := ours
	if len(in.UserData) > 0 {
		if userData, err = archive(in.UserData, ours); err != nil {
			return nil, err
		}
	}
	return in.seedFiles(userData, in.networkConfig())
}

func (in *Input) seedFiles(userData []byte, networkConfig any) ([]iso9660.File, error) {
	metaData, err := yamlFile("", metaData{InstanceID: in.Identity.VM, LocalHostname: in.Identity.Hostname})
	if err != nil {
		return nil, err
	}
	network, err := yamlFile("", networkConfig)
	if err != nil {
		return nil, err
	}
	return []iso9660.File{
		{Name: UserDataFile, Content: userData},
		{Name: MetaDataFile, Content: metaData},
		{Name: NetworkConfigFile, Content: network},
	}, nil
}

// metaData is NoCloud's meta-data.
type metaData struct {
	InstanceID    string `json:"instance-id"`
	LocalHostname string `json:"local-hostname"`
}

// yamlFile writes a value as JSON, which is YAML, below a first line.
func yamlFile(first string, v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(first)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b.Bytes(), nil
}
