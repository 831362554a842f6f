#!/usr/bin/env bash
# Fetches the suites of others, and what builds and runs them, to $SUITES: sources and packages of Debian, by an apt of its own that changes nothing on this
# machine, but that bats, podman and the like are installed (as root).
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/where.sh"

GO_PACKAGES="golang-dbus-dev golang-github-containerd-console-dev golang-github-coreos-go-systemd-dev golang-github-cyphar-filepath-securejoin-dev
    golang-github-moby-sys-dev golang-github-mrunalp-fileutils-dev golang-github-opencontainers-cgroups-dev golang-github-opencontainers-selinux-dev
    golang-github-opencontainers-specs-dev golang-github-seccomp-libseccomp-golang-dev golang-github-sirupsen-logrus-dev golang-github-urfave-cli-dev golang-golang-x-sys-dev golang-gocapability-dev
    golang-github-blang-semver-dev golang-github-hashicorp-go-multierror-dev golang-github-xeipuuv-gojsonschema-dev golang-github-google-uuid-dev"
# What newer runtimes need that are compared, beside themselves.
LIBRARIES="libc6/sid libseccomp2/trixie libcap2/trixie libyajl2/trixie libsystemd0/trixie libgcc-s1/sid"

# apt with newer suites of the mirror that this machine uses, and with state of its own.
own_apt() {
    local dir=$SUITES/apt mirror suite
    mkdir -p "$dir"/{lists,cache/archives}/partial
    : >"$dir/status"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)
    for suite in bookworm trixie sid; do
        printf 'deb%s [check-valid-until=no signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "" "$mirror" $suite -src "$mirror" $suite
    done >"$dir/sources.list"
    cat >"$dir/apt.conf" <<END
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
APT::Install-Recommends "false";
END
    APT_CONFIG=$dir/apt.conf apt-get -qq update
}

apt_own() { local tool=$1; shift; APT_CONFIG=$SUITES/apt/apt.conf "$tool" "$@"; }

# The original sources, without Debian's changes.
sources() {
    local pair name archive
    mkdir -p "$SUITES/src" && cd "$SUITES/src"
    for pair in "runc $RUNC_VERSION" "crun $CRUN_VERSION" "libpod $PODMAN_VERSION" "$VALIDATION $VALIDATION_VERSION"; do
        name=${pair% *}_${pair#* }
        # Of some versions a mirror has the archive alone, which is enough.
        ls "$name".orig.tar.* >/dev/null 2>&1 ||
            apt_own apt-get -qq source --download-only "${pair% *}=$(newest "${pair% *}" "${pair#* }")" || true
        archive=$(ls "$name".orig.tar.?z | head -n 1)
        # Once: build.sh changes what was unpacked.
        [ ! -e "$SUITES/x/$name" ] || continue
        rm -rf "$SUITES/x/new" && mkdir -p "$SUITES/x/new"
        tar -xf "$archive" -C "$SUITES/x/new" --strip-components=1
        mv "$SUITES/x/new" "$SUITES/x/$name"
    done
}

# Debian's newest revision of a version.
newest() {
    apt_own apt-cache showsrc "$1" | sed -n 's/^Version: //p' | grep -F "$2-" | sort -V | tail -n 1
}

# Packages that are unpacked, not installed: DIR PACKAGE…
unpack() {
    local dir=$SUITES/$1 file
    shift
    mkdir -p "$dir/debs" && cd "$dir/debs"
    apt_own apt-get -qq download "$@"
    for file in *.deb; do dpkg-deb -x "$file" "$dir"; done
    rm -r "$dir/debs"
}

go_packages() {
    [ ! -e "$SUITES/gopath/usr" ] || return 0
    # shellcheck disable=SC2046,SC2086
    unpack gopath $(apt_own apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $GO_PACKAGES |
        grep '^golang-.*-dev$' | sort -u)
    unpack go golang-1.24-go/trixie golang-1.24-src/trixie
}

# Newer runtimes than this Debian has, with a C library of their own: $SUITES/bin/runc13, crun121.
runtimes() {
    [ ! -e "$SUITES/bin/runc13" ] || return 0
    # shellcheck disable=SC2086
    unpack newer $LIBRARIES runc/sid crun/trixie
    mkdir -p "$SUITES/newlib" "$SUITES/bin"
    cp -L "$SUITES"/newer/usr/lib/x86_64-linux-gnu/*.so* "$SUITES/newlib/"
    cp "$SUITES/newer/usr/sbin/runc" "$SUITES/bin/runc13"
    cp "$SUITES/newer/usr/bin/crun" "$SUITES/bin/crun121"
    for program in runc13 crun121; do
        patchelf --set-interpreter "$SUITES/newlib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$SUITES/newlib" "$SUITES/bin/$program"
    done
}

# containerd 2, for the clients' tests: $SUITES/containerd/usr/bin.
newer_containerd() {
    [ -e "$SUITES/containerd/usr" ] || unpack containerd containerd/sid
}

apt-get -qq install -y bats jq gawk gcc libc6-dev debootstrap busybox-static patchelf python3 socat libseccomp-dev pkg-config >/dev/null
# What the suites of ordinary users and of podman take for given.
apt-get -qq install -y --no-install-recommends uidmap podman conmon catatonit netavark aardvark-dns crun \
    buildah slirp4netns containernetworking-plugins iptables netcat-openbsd >/dev/null
own_apt
sources
go_packages
runtimes
newer_containerd
echo "fetched to $SUITES; next: build.sh"
