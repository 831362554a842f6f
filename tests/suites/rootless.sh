# shellcheck shell=bash
# runc's integration tests by an ordinary user who has ranges of ids and control groups of his own: rootless; rootless-idmap and rootless-cgroup are with the one
# or the other alone, rootless-none with neither.

USER_ID=4321
GROUP=/runc-cgroups-integration-test

run_suite() {
    local name
    export RUNC=$RUNTIME PATH=$PATH:/usr/sbin:/sbin
    case $SUITE in
        rootless) export ROOTLESS_FEATURES=idmap+cgroup ;;
        *) export ROOTLESS_FEATURES=${SUITE#rootless-} ;;
    esac
    make_user || return 1
    case $ROOTLESS_FEATURES in idmap*) give_ranges ;; *) take_helpers ;; esac || return 1
    case $ROOTLESS_FEATURES in *cgroup) give_groups || return 1 ;; esac
    cd "$FROM/tests/integration" || return 1
    for name in $(files . .bats); do
        file "$name" setpriv --reuid $USER_ID --regid $USER_ID --init-groups env HOME=$W/home TMPDIR=$W/home XDG_RUNTIME_DIR=$W/home/run \
            bats --tap ${SUITE_FILTER:+--filter "$SUITE_FILTER"} "$name.bats"
    done
}

make_user() {
    # What the world lays over the host's.
    [ "$(stat -f -c %T /etc)" = overlayfs ] || return 1
    echo "rootless:x:$USER_ID:$USER_ID::$W/home:/bin/bash" >>/etc/passwd
    echo "rootless:x:$USER_ID:" >>/etc/group
    mkdir -p "$W/home/run"
    chmod 755 "$W"
    chmod 700 "$W/home/run"
    chown -R $USER_ID:$USER_ID "$W/home"
}

give_ranges() {
    command -v newuidmap >/dev/null || { echo "newuidmap is not installed (package uidmap): every test would fail"; return 1; }
    export ROOTLESS_UIDMAP_START=100000 ROOTLESS_UIDMAP_LENGTH=65536 ROOTLESS_GIDMAP_START=200000 ROOTLESS_GIDMAP_LENGTH=65536
    export ROOTLESS_AUX_UID=1024 ROOTLESS_AUX_DIR=$W/aux
    echo "rootless:$ROOTLESS_UIDMAP_START:$ROOTLESS_UIDMAP_LENGTH" >>/etc/subuid
    echo "rootless:$ROOTLESS_GIDMAP_START:$ROOTLESS_GIDMAP_LENGTH" >>/etc/subgid
    mkdir -p "$ROOTLESS_AUX_DIR"
    # The container's id 1000 is the first of the range.
    chown $((ROOTLESS_UIDMAP_START - 1000 + ROOTLESS_AUX_UID)) "$ROOTLESS_AUX_DIR"
}

# Where nothing is given, there are no programs that would map what is given either.
take_helpers() {
    mkdir -p "$W/cover-programs" "$W/work-programs"
    mount -t overlay overlay -o "lowerdir=/usr/bin,upperdir=$W/cover-programs,workdir=$W/work-programs" /usr/bin
    rm -f /usr/bin/newuidmap /usr/bin/newgidmap
}

# As runc's own script gives them: the directory, its processes, and what a cpuset of version 1 and shares of real time need.
give_groups() {
    local top name
    for top in $(findmnt -rn -t cgroup -o TARGET); do
        mkdir -p "$top$GROUP" || return 1
        chown root:$USER_ID "$top$GROUP" "$top$GROUP"/{cgroup.procs,tasks}
        chmod g+rwx "$top$GROUP" "$top$GROUP"/{cgroup.procs,tasks}
        for name in cpuset.cpus cpuset.mems cpu.rt_period_us cpu.rt_runtime_us; do
            [ ! -e "$top$GROUP/$name" ] || chown $USER_ID:$USER_ID "$top$GROUP/$name"
        done
    done
}
