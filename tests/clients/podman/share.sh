# Namespaces that are shared, and networks.

SHARE=(network_none network_host network_bridge network_port network_of_container pid_host pid_of_container ipc_host namespaces_differ namespace_by_path)

network_none() { is "$(run --network none box ls /sys/class/net)" lo; }

network_host() {
    is "$(run --network host box readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
}

network_bridge() {
    sleeper server --network podman
    local address
    address=$(p inspect -f '{{.NetworkSettings.IPAddress}}' server)
    has "$(p exec server ip -o addr show dev eth0)" "$address"
    p exec -d server httpd -p 80 -h /etc >/dev/null
    soon run --network podman box sh -c "printf 'GET /text HTTP/1.0\r\n\r\n' | nc -w 5 $address 80 | grep 'no program'"
    gone server
}

network_port() {
    p run -d --name web -p 127.0.0.1:8099:80 box sh -c 'mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www' >/dev/null
    soon bash -c 'busybox wget -q -O - http://127.0.0.1:8099/ | grep page'
    gone web
}

network_of_container() {
    sleeper first --network none
    is "$(run --network container:first box readlink /proc/self/ns/net)" "$(p exec first readlink /proc/self/ns/net)"
    gone first
}

pid_host() {
    is "$(run --pid host box readlink /proc/self/ns/pid)" "$(readlink /proc/self/ns/pid)"
    # Ended by a signal all the same.
    sleeper hosted --pid host
    gone hosted
}

pid_of_container() {
    sleeper first
    has "$(run --pid container:first box ps)" 'trap'
    p run -d --name second --pid container:first box sleep 77 >/dev/null
    has "$(p exec first ps)" 'sleep 77'
    gone second
    has_not "$(p exec first ps)" 'sleep 77'
    gone first
}

ipc_host() { is "$(run --ipc host box readlink /proc/self/ns/ipc)" "$(readlink /proc/self/ns/ipc)"; }

namespaces_differ() {
    local kind own
    for kind in mnt pid ipc uts net; do
        own=$(run --network none box readlink "/proc/self/ns/$kind")
        has "$own" "$kind:["
        [ "$own" != "$(readlink "/proc/self/ns/$kind")" ]
    done
}

namespace_by_path() {
    ip netns add given
    is "$(run --network ns:/run/netns/given box readlink /proc/self/ns/net)" "$(ip netns exec given readlink /proc/self/ns/net)"
    ip netns del given
}
