#!/usr/bin/env bash
# Runs the guest of one VM until it is switched off. The driver starts it, detached from the agent, and may be
# gone long before it ends. All that a guest needs (mounts, loop devices, network interfaces) is made inside of
# namespaces that go with the guest's last process, so that no way for a guest to end leaves anything behind.
#
# What it is told comes in the environment, lists with one item a line:
#   RUN      folder of the guest, for it alone     CGROUPS  cgroups to enter before anything is done
#   ID       of the VM                             GUEST    cgroup for nspawn itself, where cgroup v2 wants another
#   DISK     file of the boot disk                 DATA     "name file" of each further disk
#   IMAGE    squashfs below the boot disk, or ""   NICS     "name mac outer-name bridge alias" of each
#   LAYER    folder laid over the image, or ""
#
# File descriptor 3, if it is open, is told once the guest boots. File descriptor 4 is the lock of the boot disk: what
# inherits it keeps other guests off, for as long as it runs.
set -euo pipefail

# Keeps the last of what a guest writes to its console: it goes to memory of the machine, and may have no end.
keep() {
  local said
  # It writes each piece as it comes, and nothing once there is no more.
  while said=$(dd bs=4096 count=1024 oflag=append conv=notrunc of="$RUN/console.log" 2>&1) && [[ $said != 0+0* ]]; do
    if [ "$(stat -c %s "$RUN/console.log")" -gt 1048576 ]; then
      tail -c 524288 "$RUN/console.log" >"$RUN/console.tail"
      # The file stays the one that others have open.
      cat "$RUN/console.tail" >"$RUN/console.log"
      rm "$RUN/console.tail"
    fi
  done
  # A guest goes on though there is no room for what it says.
  cat >/dev/null
}

# Called by bash -e within the namespaces of the guest.
boot() {
  local name file mac outer bridge alias folder lower plain status=0
  local kubelet=/var/lib/kubelet snapshotter=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs
  local -a options=() init=(--boot)

  # The file systems grow here because they cannot while they are mounted: that takes CAP_SYS_RESOURCE.
  attach() {
    resize2fs -f "$1" 2>&1 | grep -v '^resize2fs\|Nothing to do\|^$' || true
    mount -o loop,noinit_itable "$1" "$2"
  }

  mkdir -p "$RUN"/mnt/{disk,lower,root}
  attach "$DISK" "$RUN/mnt/disk"
  mkdir -p "$RUN"/mnt/disk/{upper,work,plain}
  if [ -n "$IMAGE" ]; then mount -t squashfs -o loop,ro "$IMAGE" "$RUN/mnt/lower"; fi
  lower=$RUN/mnt/lower
  if [ -n "$LAYER" ]; then
    # A copy is root's, whoever checked out what is copied, and stays as it is while the guest runs.
    rm -rf "$RUN/layer"
    (umask 022 && cp -r "$LAYER" "$RUN/layer")
    lower=$RUN/layer:$lower
  fi
  mount -t overlay -o "lowerdir=$lower,upperdir=$RUN/mnt/disk/upper,workdir=$RUN/mnt/disk/work" overlay "$RUN/mnt/root"

  # Pods' file systems are overlays, whose upper side cannot lie on an overlay. Their lower sides can: the image's
  # own are linked to, not copied.
  plain=$RUN/mnt/disk/plain
  if [ ! -e "$plain/kubelet" ]; then
    rm -rf "$plain/kubelet.part" && mkdir -m 0700 "$plain/kubelet.part"
    if [ -d "$RUN/mnt/lower$kubelet" ]; then cp -a "$RUN/mnt/lower$kubelet/." "$plain/kubelet.part"; fi
    mv "$plain/kubelet.part" "$plain/kubelet"
  fi
  if [ ! -e "$plain/containerd" ]; then
    rm -rf "$plain/containerd.part" && mkdir -m 0700 "$plain/containerd.part" "$plain/containerd.part/snapshots"
    for file in "$RUN/mnt/lower$snapshotter"/*; do
      if [ -f "$file" ]; then cp -a "$file" "$plain/containerd.part"; fi
    done
    for folder in "$RUN/mnt/lower$snapshotter/snapshots"/*; do
      if [ -d "$folder" ]; then ln -s "/run/machinectr/snapshots/${folder##*/}" "$plain/containerd.part/snapshots"; fi
    done
    mv "$plain/containerd.part" "$plain/containerd"
  fi
  options+=(--bind="$plain/kubelet:$kubelet" --bind="$plain/containerd:$snapshotter")
  if [ -d "$RUN/mnt/lower$snapshotter/snapshots" ]; then
    options+=(--bind-ro="$RUN/mnt/lower$snapshotter/snapshots:/run/machinectr/snapshots")
  fi

  while read -r name file; do
    if [ -z "$name" ]; then continue; fi
    mkdir -p "$RUN/mnt/data-$name"
    attach "$file" "$RUN/mnt/data-$name"
    options+=(--bind="$RUN/mnt/data-$name:/disks/$name")
  done <<<"$DATA"

  ip link set lo up
  while read -r name mac outer bridge alias; do
    if [ -z "$name" ]; then continue; fi
    # One of a guest that was killed may still be there.
    nsenter --net=/proc/self/fd/8 ip link del "$outer" 2>/dev/null || true
    ip link add "$name" address "$mac" type veth peer name "$outer" netns /proc/self/fd/8
    nsenter --net=/proc/self/fd/8 ip link set "$outer" alias "$alias"
    nsenter --net=/proc/self/fd/8 ip link set "$outer" master "$bridge" up
  done <<<"$NICS"

  # What nspawn keeps on its host is of use to nobody who does not know of the guest.
  mkdir -p /run/systemd/nspawn
  mount -t tmpfs -o mode=0755 nspawn /run/systemd/nspawn

  if [ -e "$RUN/mnt/root/bin/sh" ]; then
    # cgroup v1 controllers are read-only in a guest otherwise, and kubelet needs them, and shared mounts.
    # shellcheck disable=SC2016 # the guest's shell expands it
    init=(/bin/sh -c '
      for controller in /sys/fs/cgroup/*/; do
        mount -o remount,bind,rw "$controller" 2>/dev/null || :
      done
      mount --make-rshared /
      exec /sbin/init')
  fi
  # It speaks of the disk of a VM.
  if [ -e "$RUN/mnt/root/etc/fstab" ]; then options+=(--bind-ro=/dev/null:/etc/fstab); fi
  if [ -e /dev/kmsg ]; then options+=(--bind=/dev/kmsg); fi

  # In a process of its own, as nobody may listen any more.
  (echo ok >&3) 2>/dev/null || true
  exec 3>&-
  (
    # Nspawn makes cgroups within its own, which cgroup v2 forbids while another process is in there, too.
    if [ -n "$GUEST" ]; then
      echo "$BASHPID" >"$GUEST/cgroup.procs"
      # Whatever the guest's init is: nspawn makes a hierarchy of v1 for one that it does not know.
      export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    fi
    export SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 SYSTEMD_NSPAWN_LOCK=0
    exec systemd-nspawn --quiet --directory="$RUN/mnt/root" --machine="$ID" --uuid="$ID" --register=no --keep-unit \
      --console=read-only --network-namespace-path=/proc/self/ns/net --capability=all --resolv-conf=off \
      --timezone=off --link-journal=no --bind-ro="$RUN/seed:/var/lib/cloud/seed/nocloud" "${options[@]}" "${init[@]}" 8>&- 2>&1
  ) | keep || status=$?

  # The disks are free before the next boot takes them.
  umount "$RUN/mnt/root"
  for folder in "$RUN"/mnt/*; do
    if mountpoint -q "$folder"; then umount "$folder"; fi
  done
  return "$status"
}

if [ "${1:-}" = boot ]; then
  boot
  exit
fi

while read -r cgroup; do
  if [ -n "$cgroup" ]; then echo $$ >"$cgroup/cgroup.procs"; fi
done <<<"$CGROUPS"

exec 8</proc/self/ns/net

# Nspawn says by 133 that the guest wants to be booted again, as it does to systemd.
status=133
while [ "$status" = 133 ]; do
  status=0
  unshare --mount --net --propagation private -- bash -e "$0" boot </dev/null || status=$?
  while read -r _ _ outer _; do
    if [ -n "$outer" ]; then ip link del "$outer" 2>/dev/null || true; fi
  done <<<"$NICS"
  exec 3>&-
done
echo "launch: the guest ended with status $status"
