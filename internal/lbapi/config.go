package lbapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// ConfigPath is where the seed of a load-balancer VM writes its LBConfig.
const ConfigPath = "/etc/capstan-lb/config.yaml"

// LBConfig is what a load-balancer VM boots with. Everything else comes over the
// connection from the manager.
type LBConfig struct {
	// Name is the VM's name, the one it has among the peers of its plan.
	Name string `yaml:"name"`
	// Listen is the address and port to listen on for the manager.
	Listen string `yaml:"listen"`
	// EnrolmentToken is the one-time secret by which the manager and the VM
	// recognise each other at their first meeting. It is worthless afterwards.
	EnrolmentToken string `yaml:"enrolmentToken"`
}

// Validate returns what is wrong with the configuration, all of it, or nil. It
// never repeats the token.
func (c LBConfig) Validate() error {
	var errs []error
	if !namePattern.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name: %s is not a name", quote(c.Name)))
	}
	// Listening everywhere would be listening on the VIPs as well.
	if a, err := netip.ParseAddrPort(c.Listen); err != nil || a.Port() == 0 || a.Addr().IsUnspecified() {
		errs = append(errs, fmt.Errorf("listen: %s is not one address and a port", quote(c.Listen)))
	}
	if c.EnrolmentToken == "" {
		errs = append(errs, errors.New("enrolmentToken: is empty"))
	}
	return errors.Join(errs...)
}

// Marshal returns the configuration as the YAML that ParseLBConfig reads.
func (c LBConfig) Marshal() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("load balancer configuration: %w", err)
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("marshal load balancer configuration: %w", err)
	}
	return b, nil
}

// ParseLBConfig reads a configuration. Fields that it does not know, fields that
// come twice and a second document are errors: a misspelt field would otherwise
// be found out only by the VM never answering.
func ParseLBConfig(data []byte) (LBConfig, error) {
	var c LBConfig
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return LBConfig{}, parseError(err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return LBConfig{}, errors.New("parse load balancer configuration: more than one document")
	}
	if err := c.Validate(); err != nil {
		return LBConfig{}, fmt.Errorf("load balancer configuration: %w", err)
	}
	return c, nil
}

// unknownField is the one complaint of the YAML library that holds a name and
// never a value.
var unknownField = regexp.MustCompile(`^line \d+: field [A-Za-z0-9_-]{1,40} not found`)

// parseError leaves out what the YAML library quotes: the token may be in it.
func parseError(err error) error {
	const doing = "parse load balancer configuration"
	if errors.Is(err, io.EOF) {
		return errors.New(doing + ": it is empty")
	}
	var typeErr *yaml.TypeError
	if !errors.As(err, &typeErr) {
		return errors.New(doing + ": it is not YAML")
	}
	errs := make([]error, len(typeErr.Errors))
	for i, text := range typeErr.Errors {
		if text = unknownField.FindString(text); text == "" {
			text = "a field is there twice or of the wrong type"
		}
		errs[i] = errors.New(doing + ": " + text)
	}
	return errors.Join(errs...)
}
