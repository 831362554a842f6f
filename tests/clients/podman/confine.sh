# Mounts and confinement.

CONFINE=(read_only tmpfs_option binds volumes bind_of_file propagation capabilities no_new_privileges seccomp_profiles masked_paths privileged devices
    sysctls read_only_binds_below missing_source shared_memory mount_option kernel_files)

read_only() {
    code 1 run --read-only box touch /file
    code 0 run --read-only box touch /tmp/file
    code 0 run --read-only box touch /run/file
}

tmpfs_option() {
    has "$(run --tmpfs /mine:size=1m,mode=1700,noexec box grep ' /mine ' /proc/mounts)" 'size=1024k'
    is "$(run --tmpfs /mine:mode=1700 box stat -c %a /mine)" 1700
    code 1 run --tmpfs /mine:size=64k box sh -c 'head -c 200000 /dev/zero >/mine/big'
}

binds() {
    mkdir -p "$W/bound" && echo host >"$W/bound/file"
    is "$(run -v "$W/bound:/bound" box cat /bound/file)" host
    run -v "$W/bound:/bound:rw" box sh -c 'echo inside >/bound/new'
    is "$(cat "$W/bound/new")" inside
    code 1 run -v "$W/bound:/bound:ro" box touch /bound/x
    has "$(run -v "$W/bound:/bound:ro,noexec,nosuid,nodev" box grep ' /bound ' /proc/mounts)" ro,nosuid,nodev,noexec
    is "$(run -v "$W/bound:/deep/er/bound" box cat /deep/er/bound/file)" host
}

volumes() {
    p volume create vol >/dev/null
    run -v vol:/data box sh -c 'echo kept >/data/file'
    is "$(run -v vol:/data:ro box cat /data/file)" kept
    is "$(run -v vol:/etc box cat /etc/text)" 'no program' || is "$(run -v vol:/etc box cat /etc/file)" kept
    p volume rm -f vol >/dev/null
}

bind_of_file() {
    is "$(run -v "$W/bound/file:/etc/one" box cat /etc/one)" host
    is "$(run -v "$W/bound/file:/new/one:ro" box cat /new/one)" host
    code 1 run -v "$W/bound/file:/etc/one:ro" box sh -c 'echo >/etc/one'
}

propagation() {
    has "$(run -v "$W/bound:/bound:rslave" box grep ' /bound ' /proc/self/mountinfo)" /bound
    mkdir -p "$W/shared" && mount -t tmpfs tmpfs "$W/shared" && mount --make-shared "$W/shared"
    mkdir "$W/shared/sub"
    p run -d --name slave -v "$W/shared:/shared:rslave" box sleep 60 >/dev/null
    mount -t tmpfs tmpfs "$W/shared/sub" && echo later >"$W/shared/sub/file"
    is "$(p exec slave cat /shared/sub/file)" later
    gone slave
    run --privileged -v "$W/shared:/shared:rshared" box sh -c 'umount /shared/sub'
    [ ! -e "$W/shared/sub/file" ]
    umount "$W/shared"
}

read_only_binds_below() {
    mkdir -p "$W/tree/sub" && mount -t tmpfs tmpfs "$W/tree/sub" && touch "$W/tree/sub/file"
    is "$(run -v "$W/tree:/tree" box ls /tree/sub)" file
    umount "$W/tree/sub"
}

missing_source() {
    local out
    code 0 run -v /etc:/x:ro box true
    out=$(code 125 run -v /no/such/source:/x box true 2>&1) || out=$(code 126 run -v /no/such/source:/x box true 2>&1)
    has "$out" /no/such/source
}

mount_option() {
    has "$(run --mount type=tmpfs,destination=/t,tmpfs-size=2m box grep ' /t ' /proc/mounts)" size=2048k
    is "$(run --mount "type=bind,source=$W/bound,destination=/b,ro=true" box cat /b/file)" host
    has "$(run --mount type=devpts,destination=/mypts box grep ' /mypts ' /proc/mounts)" devpts
}

capabilities() {
    is "$(run --cap-drop all box grep CapEff /proc/self/status | cut -f 2)" 0000000000000000
    is "$(run --cap-drop all --cap-add net_admin box grep CapEff /proc/self/status | cut -f 2)" 0000000000001000
    is "$(run -u app box grep CapEff /proc/self/status | cut -f 2)" 0000000000000000
    code 1 run --cap-drop chown box chown app /tmp
    code 0 run box chown app /tmp
}

no_new_privileges() {
    is "$(run --security-opt no-new-privileges box grep NoNewPrivs /proc/self/status | cut -f 2)" 1
    is "$(run box grep NoNewPrivs /proc/self/status | cut -f 2)" 0
}

seccomp_profiles() {
    is "$(run box grep ^Seccomp: /proc/self/status | cut -f 2)" 2
    is "$(run --security-opt seccomp=unconfined box grep ^Seccomp: /proc/self/status | cut -f 2)" 0
    cat >"$W/profile.json" <<END
{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}
END
    has "$(code 1 run --security-opt "seccomp=$W/profile.json" box mkdir /tmp/x 2>&1)" 'not supported'
}

masked_paths() {
    is "$(run box cat /proc/keys)" ''
    is "$(run box ls /sys/firmware)" ''
    [ -n "$(run --security-opt unmask=/proc/keys box cat /proc/keys)" ]
    is "$(run --security-opt mask=/etc/passwd box cat /etc/passwd)" ''
    code 1 run box sh -c 'echo 1 >/proc/sys/kernel/panic'
    has "$(run --security-opt unmask=ALL box grep -c ' /proc' /proc/mounts)" 1
}

privileged() {
    is "$(run --privileged box grep ^Seccomp: /proc/self/status | cut -f 2)" 0
    is "$(run --privileged box grep CapEff /proc/self/status | cut -f 2)" "$(grep CapEff /proc/self/status | cut -f 2)"
    code 0 run --privileged box mount -t tmpfs tmpfs /tmp
    has "$(run --privileged box ls /dev)" kmsg
    has "$(run --privileged -t box tty)" /dev/pts/0
}

devices() {
    has "$(run --device /dev/fuse box ls -l /dev/fuse)" '10, 229'
    has "$(run --device /dev/fuse:/dev/other:r box ls -l /dev/other)" '10, 229'
    code 0 run --device /dev/zero:/dev/mine box head -c 1 /dev/mine
    # Nodes can be made, but those that are not allowed can't be opened.
    run --cap-add mknod box sh -c 'mknod /tmp/kmsg c 1 11'
    code 1 run --cap-add mknod box sh -c 'mknod /tmp/kmsg c 1 11; head -c 1 /tmp/kmsg'
    code 0 run box sh -c 'for d in null zero full random urandom tty ptmx; do [ -e /dev/$d ] || exit 1; done; echo >/dev/null && head -c 1 /dev/urandom >/dev/null'
}

sysctls() {
    is "$(run --sysctl net.ipv4.ip_forward=1 box cat /proc/sys/net/ipv4/ip_forward)" 1
    is "$(run --sysctl kernel.msgmax=65536 box cat /proc/sys/kernel/msgmax)" 65536
    code 126 run --sysctl kernel.panic=3 box true || code 125 run --sysctl kernel.panic=3 box true || code 1 run --sysctl kernel.panic=3 box true
}

shared_memory() { is "$(run --shm-size 3m box df -k /dev/shm | awk 'NR == 2 { print $2 }')" 3072; }

kernel_files() {
    local out
    out=$(run box cat /proc/mounts)
    has "$out" ' /proc proc '
    has "$out" ' /sys sysfs ro'
    has "$out" ' /dev/mqueue mqueue '
    has "$out" ' /sys/fs/cgroup '
}
