package pki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

const (
	keyFile       = "key.pem"
	tokenFile     = "token.json"
	enrolmentFile = "enrolment.pem"
)

// enrolment is the agent's certificate and that of the CA whose key it pins.
type enrolment struct {
	leaf, ca *x509.Certificate
}

// store is the agent's state directory. Every file is replaced whole or not at
// all, and is on the disk when a write returns.
type store struct{ dir string }

func openStore(dir string) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return store{}, fmt.Errorf("make state directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return store{}, fmt.Errorf("look at state directory: %w", err)
	}
	// Windows guards the directory by its access control list, which the
	// installer sets; there the mode bits say nothing.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return store{}, fmt.Errorf("state directory %s has mode %#o: others must have no access, set it to 0700", dir, mode)
	}
	return store{dir: dir}, nil
}

// key returns the key, which is made only where no trace of an older one is.
func (s store) key() (*ecdsa.PrivateKey, error) {
	data, err := s.read(keyFile)
	if err != nil {
		return nil, err
	}
	if data != nil {
		key, err := ParseKey(data)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Join(s.dir, keyFile), err)
		}
		return key, nil
	}
	if enrolled, err := s.read(enrolmentFile); err != nil || enrolled != nil {
		return nil, errors.Join(fmt.Errorf("state directory %s holds an enrolment but no key: restore the key or empty the directory and enrol again", s.dir), err)
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	if data, err = EncodeKey(key); err != nil {
		return nil, err
	}
	return key, s.write(keyFile, data)
}

func (s store) token() (*verifier, error) {
	data, err := s.read(tokenFile)
	if data == nil || err != nil {
		return nil, err
	}
	var v verifier
	if err := json.Unmarshal(data, &v); err != nil {
		// The decoder's own error could quote the key.
		return nil, fmt.Errorf("read %s: it is damaged", filepath.Join(s.dir, tokenFile))
	}
	return &v, nil
}

func (s store) writeToken(v verifier) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode token %s: %w", v.ID, err)
	}
	return s.write(tokenFile, data)
}

func (s store) burnToken() error {
	if err := os.Remove(filepath.Join(s.dir, tokenFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("burn token: %w", err)
	}
	return syncDir(s.dir)
}

func (s store) enrolment() (*enrolment, error) {
	data, err := s.read(enrolmentFile)
	if data == nil || err != nil {
		return nil, err
	}
	certs, err := ParseCertificates(data)
	if err == nil && len(certs) != 2 {
		err = fmt.Errorf("want the agent's certificate and the CA's, found %d", len(certs))
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(s.dir, enrolmentFile), err)
	}
	return &enrolment{leaf: certs[0], ca: certs[1]}, nil
}

func (s store) writeEnrolment(e *enrolment) error {
	return s.write(enrolmentFile, EncodeCertificates(e.leaf, e.ca))
}

func (s store) read(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return data, nil
}

func (s store) write(name string, data []byte) (err error) {
	// CreateTemp gives the file mode 0600.
	temp, err := os.CreateTemp(s.dir, name+".*.tmp")
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name())
			err = fmt.Errorf("write state: %w", err)
		}
	}()
	if _, err := temp.Write(data); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), filepath.Join(s.dir, name)); err != nil {
		return err
	}
	return syncDir(s.dir)
}
