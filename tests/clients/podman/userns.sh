# User namespaces, as root.

USERNS=(userns_auto userns_mapped userns_volumes userns_exec userns_idmapped)

userns_auto() {
    echo 'containers:2000000:1000000' >>/etc/subuid
    echo 'containers:2000000:1000000' >>/etc/subgid
    has "$(run --userns auto box cat /proc/self/uid_map)" ' 2'
    is "$(run --userns auto box id -u)" 0
}

userns_mapped() {
    is "$(run --uidmap 0:300000:5000 --gidmap 0:300000:5000 box sh -c 'cat /proc/self/uid_map' | xargs)" '0 300000 5000'
    code 0 run --uidmap 0:300000:5000 box sh -c 'touch /file && chown app /file'
    code 12 run --uidmap 0:300000:5000 -u app box sh -c 'exit 12'
    has "$(run --uidmap 0:300000:5000 box ls -l /dev/null)" crw-rw-rw-
    has "$(run -t --uidmap 0:300000:5000 box tty)" /dev/pts/0
}

userns_volumes() {
    mkdir -p "$W/mapped" && chown 300000:300000 "$W/mapped"
    run --uidmap 0:300000:5000 -v "$W/mapped:/m" box touch /m/file
    is "$(stat -c %u "$W/mapped/file")" 300000
    # The source lies on a mount that is locked for a user namespace.
    mkdir -p "$W/strict" && mount -t tmpfs tmpfs "$W/strict" -o nosuid,nodev,noexec
    code 0 run --uidmap 0:300000:5000 -v "$W/strict:/s:ro" box ls /s
    umount "$W/strict"
}

userns_exec() {
    sleeper mapped --uidmap 0:300000:5000
    is "$(p exec mapped id -u)" 0
    is "$(p exec -u app mapped id -u)" 1000
    is "$(stat -c %u "/proc/$(p inspect -f '{{.State.Pid}}' mapped)")" 300000
    gone mapped
}

userns_idmapped() {
    mkdir -p "$W/idmapped" && touch "$W/idmapped/file"
    is "$(run --uidmap 0:300000:5000 -v "$W/idmapped:/i:idmap" box stat -c %u /i/file)" 0
}
