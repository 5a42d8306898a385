#!/bin/sh
# Lays out what the image has: rootfs.sh BINARY DIRECTORY [AUTHORITIES]
set -eu
binary=$1
root=$2
authorities=${3:-/etc/ssl/certs/ca-certificates.crt}

if [ -e "$root" ] && [ -n "$(ls -A "$root")" ]; then
    echo "rootfs.sh: $root is not empty; name another directory" >&2
    exit 73
fi
umask 022
mkdir -p "$root/usr/bin" "$root/etc/ssl/certs"
cp "$binary" "$root/usr/bin/keysherd"
cp "$authorities" "$root/etc/ssl/certs/ca-certificates.crt"
chmod 0755 "$root/usr/bin/keysherd"
chmod 0644 "$root/etc/ssl/certs/ca-certificates.crt"
# The same files make the same image, whenever it is built.
find "$root" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
