package main

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmicom"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// answerTime is how long a server of images may think. How long it sends has no limit.
const answerTime = time.Minute

// drivers are those of the shipped agent.
func drivers() []agentcmd.Driver { return []agentcmd.Driver{hypervDriver()} }

func hypervDriver() agentcmd.Driver {
	o := hyperv.Options{Volumes: map[string]string{}, WMI: wmicom.Dialer{}, Files: hostfs.OS{}}
	return agentcmd.Driver{
		Name:    hyperv.Name,
		Summary: "this host's Hyper-V, alone or in a failover cluster",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&o.StateDir, "hyperv-dir", "",
				"`folder` for the claims of a host that stands alone; hyperv in the state folder if it is not given")
			flags.Func("hyperv-volume", "`name=folder` of a volume of a host that stands alone; repeatable", func(text string) error {
				name, folder, err := hyperv.ParseVolume(text)
				o.Volumes[name] = folder
				return err
			})
		},
		StateDir: func(dir string) {
			if o.StateDir == "" {
				o.StateDir = filepath.Join(dir, "hyperv")
			}
		},
		Open: func(ctx context.Context, log *slog.Logger) (hostapi.Driver, error) {
			if err := alone(); err != nil {
				return nil, err
			}
			host, err := os.Hostname()
			if err != nil {
				return nil, err
			}
			transport := http.DefaultTransport.(*http.Transport).Clone()
			transport.ResponseHeaderTimeout = answerTime
			o.Host, o.Logger, o.Sources = host, log, hyperv.NetworkSources{Client: &http.Client{Transport: transport}}
			return hyperv.New(ctx, o)
		},
	}
}
