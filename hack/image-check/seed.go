package main

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
)

// Who the guest is told to be.
const (
	guestID       = "6f1f0a52-3c1e-4d6e-9b0e-2f8a7a1c9d10"
	guestName     = "image-check"
	guestMAC      = "02:ca:95:7a:00:01"
	guestAddress  = "192.0.2.10/24"
	guestGateway  = "192.0.2.1"
	guestPauseTag = "registry.k8s.io/pause:"
)

// userData has the guest report on every boot, after cloud-init if that runs at all,
// and switch itself off. What cloud-init made of the template is gone with the boot in
// which it did; who it takes the guest for is asked of cloud-init itself.
const userData = `## template: jinja
#cloud-config
write_files:
- path: /run/image-check-template
  content: "{{ ds.meta_data.instance_id }}"
- path: /usr/local/sbin/image-check
  permissions: "0755"
  content: |
    #!/bin/sh
    say() { echo "image-check: $*" >/dev/ttyS0; }
    say "name $(hostname)"
    [ ! -e /run/image-check-template ] || say "template $(cat /run/image-check-template)"
    say "instance $(cat /var/lib/cloud/data/instance-id)"
    say "address $(ip -4 -o address show dev eth0 | awk '{print $4}')"
    say "gateway $(ip -4 route show default | awk '{print $3}')"
    say "containerd $(systemctl is-active containerd)"
    say "crictl $(crictl images --quiet >/dev/null 2>&1 && echo answered || echo unanswered)"
    for image in $(ctr --namespace k8s.io images list -q | grep -v ^sha256:); do say "preloaded $image"; done
    say "sshkey $(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub)"
    say "failed $(systemctl list-units --failed --plain --no-legend | awk '{print $1}' | xargs)"
    say "swap $(tail -n +2 /proc/swaps | wc -l)"
    say "root $(df --output=fstype / | tail -n 1)"
    say "grown $([ "$(df --output=size --block-size=1M / | tail -n 1)" -gt 11000 ] && echo yes || echo no)"
    say "end"
    systemctl poweroff --no-block
- path: /etc/systemd/system/image-check.service
  content: |
    [Unit]
    Description=Report to the test of the image
    After=cloud-final.service containerd.service ssh.service network-online.target
    Wants=network-online.target
    [Service]
    Type=oneshot
    ExecStart=/usr/local/sbin/image-check
    [Install]
    WantedBy=multi-user.target
runcmd:
- systemctl enable --now --no-block image-check.service
`

// writeSeed makes the seed as the manager makes those of machines.
func writeSeed(file string) error {
	seed, err := bootstrap.Seed(bootstrap.Input{
		Identity: bootstrap.Identity{VM: guestID, Hostname: guestName},
		OS:       bootstrap.Linux,
		NICs: []bootstrap.NIC{{
			MAC:       guestMAC,
			Addresses: []netip.Prefix{netip.MustParsePrefix(guestAddress)},
			Gateways:  []netip.Addr{netip.MustParseAddr(guestGateway)},
		}},
		UserData: []byte(userData),
	})
	if err != nil {
		return fmt.Errorf("make seed: %w", err)
	}
	return os.WriteFile(file, seed, 0o600)
}
