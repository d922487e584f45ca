#!/usr/bin/env bash
# `make fresh`: what the README says, in a Debian that has nothing but the packages it names; as root
# and as an ordinary user. Needs root, debootstrap and Debian's mirror.
#
# FRESH_SUITE (bookworm) and FRESH_MIRROR choose the system, FRESH_BIND names directories that are to
# be visible in it, such as those of pip's configuration and of local packages.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "make fresh: debootstrap and chroot need root" >&2; exit 1; }
  command -v debootstrap >/dev/null || { echo "make fresh: apt install debootstrap" >&2; exit 1; }
  top=$(mktemp -d "${TMPDIR:-/var/tmp}/kore-fresh.XXXXXX")
  status=0
  # Whatever is mounted goes with this namespace, so that nothing but our own files is removed here.
  unshare --mount --pid --fork --propagation private "$0" inside "$top" || status=$?
  grep -qF " $top/" /proc/self/mountinfo || rm -rf --one-file-system "$top"
  exit "$status"
fi

top=$2
packages=$(sed -n 's/.*`apt install \([^`]*\)`.*/\1/p' README.md | head -n 1)
[ -n "$packages" ] || { echo "make fresh: README.md names no packages" >&2; exit 1; }

debootstrap --variant=minbase "${FRESH_SUITE:-bookworm}" "$top" "${FRESH_MIRROR:-http://deb.debian.org/debian}"
mount -t proc proc "$top/proc"
mount --rbind /sys "$top/sys"
mount --rbind /dev "$top/dev"
mount -t tmpfs -o mode=1777 tmpfs "$top/tmp"
cp /etc/resolv.conf "$top/etc/resolv.conf"
# What the installer of a machine writes, and debootstrap does not.
[ -s "$top/etc/hosts" ] || printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' >"$top/etc/hosts"
chmod 755 "$top"
kept=()
for name in $(compgen -e); do
  case $name in PIP_* | *_proxy | *_PROXY | SSL_CERT_* | REQUESTS_CA_BUNDLE) kept+=("$name=${!name}") ;; esac
done
inside() { chroot "$top" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${kept[@]}" "$@"; }

inside HOME=/root DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages"
for directory in ${FRESH_BIND:-}; do
  mkdir -p "$top$directory"
  mount --bind "$directory" "$top$directory"
  mount -o remount,bind,ro "$top$directory"
done
inside useradd --create-home visitor
status=0
for user in root visitor; do
  home=$(inside sh -c "getent passwd $user | cut -d: -f6")
  git clone --quiet . "$top$home/kore"
  inside chown -R "$user:" "$home/kore"
  echo "== make test as $user"
  inside HOME="$home" runuser -u "$user" -- sh -c 'cd ~/kore && make test' || status=1
done
exit "$status"
