# An ordinary user, who is made in our /etc.

ROOTLESS=(rootless_user rootless_run rootless_codes rootless_exec rootless_keep_id rootless_detached rootless_network rootless_terminal rootless_pod rootless_read_only
    rootless_sources rootless_stop rootless_privileged)

rootless_user() {
    # podman remembers a pause process and drops it with its own namespace.
    echo 'client:x:2345:2345::/run/clients/home/client:/bin/bash' >>/etc/passwd
    echo 'client:x:2345:' >>/etc/group
    echo 'client:500000:65536' >>/etc/subuid
    echo 'client:500000:65536' >>/etc/subgid
    mkdir -p "$W/home/client" /run/user/2345
    chown 2345:2345 "$W/home/client" /run/user/2345
    chmod 700 /run/user/2345
    chmod 644 "$W/rootfs.tar"
    u import -q -c 'CMD ["/bin/sh"]' -c 'ENV PATH=/bin' "$W/rootfs.tar" localhost/box >/dev/null
    code 0 urun box true
}

# podman as that user.
u() {
    timeout -k 5 "${CALL_LIMIT:-60}" setpriv --reuid 2345 --regid 2345 --clear-groups env -i "PATH=$PATH" LANG=C HOME="$W/home/client" \
        XDG_RUNTIME_DIR=/run/user/2345 USER=client TMPDIR="$W/tmp" podman "$@"
}

urun() { u run --rm --network none "$@"; }

rootless_run() {
    is "$(urun box id -u)" 0
    is "$(urun -u app box id -un)" app
    is "$(urun box sh -c 'echo a b')" 'a b'
}

rootless_codes() {
    code 42 urun box sh -c 'exit 42'
    code 127 urun box no-such-program
    code 126 urun box /etc/text
}

rootless_detached() {
    u run -d --name rd --network none box sh -c 'sleep 0.5; exit 5' >/dev/null
    is "$(u wait rd)" 5
    u rm rd >/dev/null
}

rootless_exec() {
    u run -d --name re --network none box sleep 100 >/dev/null
    code 9 u exec re sh -c 'exit 9'
    is "$(echo in | u exec -i re cat)" in
    has "$(u exec -t re tty)" /dev/pts/
    u rm -f -t 0 re >/dev/null
}

rootless_keep_id() {
    is "$(urun --userns keep-id box id -u)" 2345
    is "$(urun --userns auto box id -u)" 0 || true
}

rootless_network() {
    setpriv --reuid 2345 --regid 2345 --clear-groups test -w /dev/net/tun || skip "/dev/net/tun is closed to users"
    has "$(u run --rm box ip -o addr)" tap0
    is "$(u run --rm --network host box echo yes)" yes
}

rootless_terminal() { has "$(urun -t box tty)" /dev/pts/0; }

rootless_pod() {
    u pod create --name rp --network none >/dev/null
    is "$(u run --rm --pod rp box echo yes)" yes
    u pod rm -f -t 0 rp >/dev/null
}

rootless_read_only() {
    code 1 urun --read-only box touch /file
    code 0 urun --read-only --tmpfs /mine box touch /mine/file
}

# Sources that are locked as the host has them.
rootless_sources() {
    mkdir -p "$W/locked" && mount -t tmpfs tmpfs "$W/locked" -o nosuid,nodev,noexec,mode=777
    code 0 urun -v "$W/locked:/l" box touch /l/file
    code 0 urun -v "$W/locked:/l:ro" box cat /l/file
    umount "$W/locked"
}

rootless_stop() {
    u run -d --name rs --network none box sleep 100 >/dev/null
    u stop -t 1 rs >/dev/null 2>&1
    is "$(u inspect -f '{{.State.ExitCode}}' rs)" 137
    u rm rs >/dev/null
}

rootless_privileged() { code 0 urun --privileged box mount -t tmpfs tmpfs /tmp; }
