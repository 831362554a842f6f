# podman's own files and how it is called.

set_up() {
    RUNTIME=$W/bin/${1##*/}
    cp -L "$1" "$RUNTIME" && chmod 755 "$RUNTIME" && make_rootfs && configure || return 1
    timeout 60 podman import -q -c 'CMD ["/bin/sh"]' -c 'ENV PATH=/bin' "$W/rootfs.tar" localhost/box >/dev/null
}

configure() {
    mkdir -p /etc/containers
    rm -rf /etc/cni/net.d
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
    : >/etc/containers/registries.conf
    # The files of Debian's crun and runc are known to podman by their names; that of any other runtime has to be told that its log is JSON.
    cat >/etc/containers/containers.conf <<END
[containers]
log_driver = "k8s-file"
[engine]
runtime = "${RUNTIME##*/}"
cgroup_manager = "$CLIENTS_DRIVER"
events_logger = "file"
runtime_supports_json = ["crun", "runc", "${RUNTIME##*/}"]
runtime_supports_nocgroup = ["crun", "${RUNTIME##*/}"]
network_cmd_path = "/usr/bin/slirp4netns"
[engine.runtimes]
${RUNTIME##*/} = ["$RUNTIME"]
[network]
network_backend = "netavark"
END
    cat >/etc/containers/storage.conf <<END
[storage]
driver = "overlay"
graphroot = "$W/storage"
runroot = "/run/containers/storage"
rootless_storage_path = "$W/home/client/storage"
END
}

# A call that may take a while and no longer.
p() { timeout -k 5 "${CALL_LIMIT:-60}" podman "$@"; }

# A short run, its output only.
run() { p run --rm "$@"; }

# Starts a container that sleeps, named $1, with more options.
sleeper() {
    local name=$1
    shift
    p run -d --name "$name" "$@" box sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done' >/dev/null
}

gone() { p rm -f -t 0 "$@" >/dev/null; }

state_of() { p inspect -f '{{.State.Status}}' "$1"; }
