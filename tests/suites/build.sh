#!/usr/bin/env bash
# Builds what the suites that fetch.sh fetched need: their programs, and images in the place of those that they would download.
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/where.sh"

# Go with packages of Debian in the place of modules.
go_build() {
    GO111MODULE=off GOFLAGS= GOTOOLCHAIN=local GOCACHE=$SUITES/gocache CGO_ENABLED=${CGO:-0} GOPATH=$SUITES/gowork:$SUITES/gopath/usr/share/gocode \
        GOROOT=$SUITES/go/usr/lib/go-1.24 "$SUITES/go/usr/lib/go-1.24/bin/go" build -p 2 "$@"
}

# A source tree under its import path.
as_package() {
    mkdir -p "$SUITES/gowork/src/${2%/*}"
    [ -e "$SUITES/gowork/src/$2" ] || cp -r "$1" "$SUITES/gowork/src/$2"
}

runc() {
    local program bin
    bin=$(source_of runc)/tests/cmd/_bin
    as_package "$(source_of runc)" github.com/opencontainers/runc
    mkdir -p "$bin"
    # It needs a C library.
    CGO=1 go_build -tags seccomp -o "$bin/seccompagent" github.com/opencontainers/runc/tests/cmd/seccompagent || echo "no seccompagent: its tests will fail"
    for program in recvtty fs-idmap pidfd-kill remap-rootfs sd-helper; do
        go_build -o "$bin/$program" github.com/opencontainers/runc/tests/cmd/$program || echo "$program can't be built: its tests will fail"
    done
    # It asks Go, which a machine need not have, where the images come from that are there already.
    sed -i 's/^arch=$(go env GOARCH)$/arch=amd64/' "$(source_of runc)/tests/integration/get-images.sh"
    busybox_image
    debian_image
}

# What docker's image of busybox holds.
busybox_image() {
    local image root
    image=$(source_of runc)/tests/integration/testdata/busybox-amd64.tar.xz
    [ ! -e "$image" ] || return 0
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,dev,etc,home,root,tmp,usr/bin,usr/sbin,var/spool/mail,var/www}
    chmod 755 "$root"; chmod 700 "$root/root"; chmod 1777 "$root/tmp"
    cp /bin/busybox "$root/bin/busybox"
    "$root/bin/busybox" --list | while read -r name; do [ "$name" = busybox ] || ln "$root/bin/busybox" "$root/bin/$name"; done
    ln -s ../../bin/env "$root/usr/bin/env"
    printf '%s\n' root:x:0:0:root:/root:/bin/sh daemon:x:1:1:daemon:/usr/sbin:/bin/false bin:x:2:2:bin:/bin:/bin/false sys:x:3:3:sys:/dev:/bin/false \
        mail:x:8:8:mail:/var/spool/mail:/bin/false www-data:x:33:33:www-data:/var/www:/bin/false nobody:x:65534:65534:nobody:/home:/bin/false >"$root/etc/passwd"
    printf '%s\n' root:x:0: daemon:x:1: bin:x:2: sys:x:3: adm:x:4: tty:x:5: mail:x:8: wheel:x:10:root users:x:100: nogroup:x:65534: >"$root/etc/group"
    tar -C "$root" -cJf "$image" .
    rm -r "$root"
}

debian_image() {
    local image root
    image=$(source_of runc)/tests/integration/testdata/debian-amd64.tar.xz
    [ ! -e "$image" ] || return 0
    root=$(mktemp -d)
    chmod 755 "$root"
    debootstrap --variant=minbase bookworm "$root" >"$SUITES/debootstrap.log" 2>&1
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale,man}/*
    tar -C "$root" --one-file-system --exclude './dev/*' --exclude './proc/*' --exclude './sys/*' -c . | xz -1 -T 2 >"$image"
    rm -r --one-file-system "$root"
}

crun() {
    mkdir -p "$SUITES/include"
    # What configure would find out is not needed.
    : >"$SUITES/include/config.h"
    gcc -static -O1 -I "$SUITES/include" -o "$(source_of crun)/tests/init" "$(source_of crun)/tests/init.c"
}

validation() {
    local from package=github.com/opencontainers/runtime-tools program
    from=$(source_of validation)
    as_package "$from" $package
    as_package "$HERE/tap" github.com/mndrix/tap-go
    # The newer package has its function elsewhere.
    sed -i 's|^\t"github.com/opencontainers/selinux/go-selinux/label"|\tlabel "github.com/opencontainers/selinux/go-selinux"|' \
        "$SUITES/gowork/src/$package/cmd/runtimetest/main.go"
    go_build -tags "netgo osusergo" -o "$from/runtimetest" $package/cmd/runtimetest
    for program in "$from"/validation/*/; do
        program=$(basename "$program")
        [ "$program" = util ] || go_build -o "$from/validation/$program.t" $package/validation/$program || echo "$program can't be built"
    done
}

for suite in ${*:-runc crun validation}; do "$suite"; done
echo "built; next: suite.sh SUITE RUNTIME"
