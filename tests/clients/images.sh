# What runs in the containers: busybox, as a directory and a tar archive; to be sourced. Nothing is downloaded.

# Makes $W/rootfs and $W/rootfs.tar.
make_rootfs() {
    local root=$W/rootfs
    mkdir -p "$root"/{bin,dev,etc,home/app,proc,root,run,sys,tmp,usr,var/tmp} || return 1
    chmod 1777 "$root/tmp" "$root/var/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox" || return 1
    chroot "$root" /bin/busybox --install -s /bin || return 1
    printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\napp:x:1000:\nextra:x:1234:app\n' >"$root/etc/group"
    echo 'no program' >"$root/etc/text"
    chown 1000:1000 "$root/home/app"
    tar -C "$root" -cf "$W/rootfs.tar" .
}

# Makes $W/image.tar from it, as `docker save` writes it, named $1, with the program $2.
make_archive() {
    local dir=$W/archive layer
    mkdir -p "$dir" && cp "$W/rootfs.tar" "$dir/layer.tar" || return 1
    layer=$(sha256sum <"$dir/layer.tar" | cut -d ' ' -f 1)
    printf '{"architecture":"%s","os":"linux","config":{"Cmd":%s,"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$(architecture)" "${2:-[\"/bin/sh\"]}" "$layer" >"$dir/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$1" >"$dir/manifest.json"
    tar -C "$dir" -cf "$W/image.tar" manifest.json config.json layer.tar
}

# As images call it.
architecture() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) uname -m ;;
    esac
}
