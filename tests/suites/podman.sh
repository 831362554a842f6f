# shellcheck shell=bash
# podman's system tests: those that a runtime has a part in. Their image is made of busybox, as nothing is downloaded; what needs another one fails with every runtime.
. "$HERE/../clients/images.sh"
. "$HERE/../clients/podman/setup.sh"

PODMAN_FILES="030-run 032-sig-proxy 035-logs 040-ps 045-start 050-stop 055-rm 060-mount 065-cp 075-exec 080-pause 090-events 130-kill 140-diff 160-volumes
    170-run-userns 180-blkio 190-run-ipcns 200-pod 220-healthcheck 260-sdnotify 280-update 400-unprivileged-access 410-selinux 420-cgroups 450-interactive
    500-networking 520-checkpoint 700-play"
IMAGE_TAG=20220615

run_suite() {
    local name
    make_rootfs && test_image_files && configure && import_image || return 1
    SUITE_FILES=${SUITE_FILES:-$PODMAN_FILES}
    export PODMAN_TIMEOUT=${PODMAN_TIMEOUT:-60} BATS_TEST_TIMEOUT=${PODMAN_TEST_TIMEOUT:-150}
    cd "$FROM/test/system" || return 1
    for name in $(files . .bats); do
        file "$name" bats --tap ${SUITE_FILTER:+--filter "$SUITE_FILTER"} "$name.bats"
    done
}

# What the tests look for in their image, which is Alpine's.
test_image_files() {
    local home=$W/rootfs/home/podman
    mkdir -p "$home" "$W/rootfs/srv" "$W/rootfs/usr/bin" "$W/bin"
    : >"$W/rootfs/etc/services"
    ln -s /proc/mounts "$W/rootfs/etc/mtab"
    ln -s busybox "$W/rootfs/bin/busybox-extras"
    mv "$W/rootfs/bin/nsenter" "$W/rootfs/usr/bin/nsenter"
    # Debian's busybox has none.
    printf '#!/bin/awk -f\nBEGIN { if (ARGC > 1) print ENVIRON[ARGV[1]]; else for (name in ENVIRON) print name "=" ENVIRON[name] }\n' >"$W/rootfs/bin/printenv"
    chmod 755 "$W/rootfs/bin/printenv"
    echo $IMAGE_TAG >"$home/testimage-id"
    printf '#!/bin/sh\necho Confirmed: testimage pause invoked as $0\nwhile :; do\n    sleep 0.1\ndone\n' >"$home/pause"
    chmod 755 "$home/pause"
    touch --date=@1600000000 "$home/testimage-id"
    printf 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.16.0\n' >"$W/rootfs/etc/os-release"
    tar -C "$W/rootfs" -cf "$W/rootfs.tar" .
    # podman knows runtimes by the names of their files.
    cp -L "$RUNTIME" "$W/bin/$NAME" && RUNTIME=$W/bin/$NAME
}

import_image() {
    timeout 60 podman import -q -c 'CMD ["/bin/echo", "This container is intended for podman CI testing"]' -c 'WORKDIR /home/podman' \
        -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'LABEL created_by=test/system/build-testimage' \
        -c 'LABEL created_at=2022-06-15T17:01:59Z' "$W/rootfs.tar" quay.io/libpod/testimage:$IMAGE_TAG >/dev/null
}
