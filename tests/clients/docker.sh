#!/usr/bin/env bash
# dockerd and docker with a runtime: docker.sh RUNTIME. As root; CLIENTS_ONLY="NAME…" chooses cases.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/begin.sh" docker "$@"

CASES=(runs codes output input large_output arguments environment workdir user terminal terminal_size init missing_program not_executable missing_source signal_as_code
    detached_wait_inspect attach logs stops kills restarts pauses top_lists statistics update_limits execs exec_codes exec_terminal exec_user exec_detached exec_missing
    exec_privileged health read_only tmpfs_option binds volumes capabilities no_new_privileges seccomp_profiles masked_paths privileged devices sysctls ulimits
    shared_memory host_name memory_limit cpu_limit pids_limit cpu_set oom_score parent_group group_namespace network_none network_host network_bridge
    network_port network_of_container pid_host pid_of_container ipc_shared commit_and_copy builds restart_policy out_of_memory parallel runtime_is_ours)

set_up() {
    RUNTIME=$W/bin/${1##*/}
    cp -L "$1" "$RUNTIME" && chmod 755 "$RUNTIME" && make_rootfs || return 1
    mkdir -p /etc/docker && echo '{}' >/etc/docker/daemon.json
    export DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG=$W/docker-client DOCKER_BUILDKIT=0
    # Its bridge needs iptables; a kernel may have the older kind only, or the newer.
    dockerd -H "$DOCKER_HOST" --data-root "$W/docker" --exec-root /run/docker --pidfile /run/docker.pid --add-runtime "tested=$RUNTIME" \
        --default-runtime tested --exec-opt "native.cgroupdriver=$CLIENTS_DRIVER" >"$W/dockerd.log" 2>&1 &
    DAEMON=$!
    soon docker version && d import -c 'CMD ["/bin/sh"]' -c 'ENV PATH=/bin' "$W/rootfs.tar" box >/dev/null
}

d() { timeout -k 5 "${CALL_LIMIT:-60}" docker "$@"; }

run() { d run --rm "$@"; }

sleeper() {
    local name=$1
    shift
    d run -d --name "$name" "$@" box sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done' >/dev/null
}

gone() { d rm -f "$@" >/dev/null; }

show() { d inspect -f "$1" "$2"; }

runs() { is "$(run box echo yes)" yes; }

runtime_is_ours() {
    is "$(d info -f '{{.DefaultRuntime}}')" tested
    code 125 run --runtime no-such-runtime box true
    code 0 run box true
}

codes() {
    code 0 run box true
    code 1 run box false
    code 42 run box sh -c 'exit 42'
}

output() {
    is "$(run box sh -c 'echo out; echo err >&2' 2>/dev/null)" out
    is "$(run box sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
}

input() {
    is "$(echo in | run -i box cat)" in
    is "$(run -i box cat </dev/null)" ''
}

large_output() { is "$(run box head -c 3000000 /dev/zero | wc -c)" 3000000; }

arguments() { is "$(run box printf '%s|' 'a b' '' '$HOME' '"q"')" 'a b||$HOME|"q"|'; }

environment() { has "$(run -e 'A=two words' box env)" 'A=two words'; }

workdir() { is "$(run -w /made/new box pwd)" /made/new; }

user() {
    is "$(run -u app box id -un)" app
    is "$(run -u 77:88 box sh -c 'id -u; id -g')" $'77\n88'
    is "$(run -u app --group-add 555 box id -G)" '1000 555 1234' || is "$(run -u app --group-add 555 box id -G)" '1000 1234 555'
}

terminal() {
    has "$(run -t box tty)" /dev/pts/0
    has "$(run -t box ls -l /dev/console)" crw
}

terminal_size() {
    has "$(script -qec 'stty rows 33 cols 77; timeout 30 docker run --rm -it box sh -c "sleep 1; stty size"' /dev/null)" '33 77'
}

init() { code 9 run --init box sh -c 'exit 9'; }

missing_program() {
    code 0 run box true
    code 127 run box no-such-program
    code 127 run box /no/such/program
}

not_executable() {
    code 126 run box /etc/text
    code 126 run box /etc
}

missing_source() {
    code 0 run --mount type=bind,source=/etc,target=/x,readonly box true
    has "$(code 125 run --mount type=bind,source=/no/such/source,target=/x box true 2>&1)" /no/such/source
}

signal_as_code() { code 143 run --init box sh -c 'kill -15 $$'; }

detached_wait_inspect() {
    d run -d --name detached box sh -c 'sleep 0.3; exit 5' >/dev/null
    is "$(d wait detached)" 5
    is "$(show '{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}' detached)" 'exited 5 0'
    d start detached >/dev/null
    is "$(d wait detached)" 5
    gone detached
}

attach() {
    d run -d -i --name attach box sh -c 'read line; echo "got $line"; sleep 0.5; exit 3' >/dev/null
    has "$( (echo word; sleep 1) | code 3 d attach attach)" 'got word'
    gone attach
}

logs() {
    d run --name logs box sh -c 'echo out; echo err >&2' >/dev/null 2>&1
    is "$(d logs logs 2>/dev/null)" out
    gone logs
}

stops() {
    sleeper stopped
    sleep 0.3
    d stop -t 10 stopped >/dev/null
    is "$(show '{{.State.ExitCode}}' stopped)" 7
    gone stopped
    d run -d --name stubborn box sleep 100 >/dev/null
    d stop -t 1 stubborn >/dev/null
    is "$(show '{{.State.ExitCode}}' stubborn)" 137
    gone stubborn
}

kills() {
    d run -d --name killed box sh -c 'trap "exit 8" HUP; while :; do sleep 0.1; done' >/dev/null
    sleep 0.3
    d kill -s HUP killed >/dev/null
    is "$(d wait killed)" 8
    code 1 d kill killed
    gone killed
}

restarts() {
    sleeper again
    local before
    before=$(show '{{.State.Pid}}' again)
    d restart -t 1 again >/dev/null
    is "$(show '{{.State.Status}}' again)" running
    [ "$before" != "$(show '{{.State.Pid}}' again)" ]
    gone again
}

restart_policy() {
    d run -d --name policy --restart on-failure:2 box false >/dev/null
    soon bash -c '[ "$(docker inspect -f "{{.RestartCount}} {{.State.Status}}" policy)" = "2 exited" ]'
    gone policy
}

pauses() {
    sleeper paused
    d pause paused >/dev/null
    is "$(show '{{.State.Status}}' paused)" paused
    code 1 d exec paused true
    d unpause paused >/dev/null
    code 0 d exec paused true
    d pause paused >/dev/null
    gone paused
}

top_lists() {
    sleeper topped
    has "$(d top topped)" sleep
    gone topped
}

statistics() {
    sleeper counted
    has "$(d stats --no-stream --format '{{.Name}} {{.PIDs}}' counted)" 'counted 2'
    gone counted
}

# Whether root has every capability that the kernel knows, since Docker gives them all.
all_capabilities() { is "$((0x$(sed -n 's/^CapBnd:\s*//p' /proc/self/status)))" $(((2 << $(cat /proc/sys/kernel/cap_last_cap)) - 1)); }

# The file of a control group, by its names in the two versions.
limit() {
    local pid group
    pid=$(show '{{.State.Pid}}' "$3")
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/$2"
    else
        group=$(sed -n "s/^[0-9]*:[a-z,]*\b${1%%.*}\b[a-z,]*://p" "/proc/$pid/cgroup")
        cat "/sys/fs/cgroup/${1%%.*}$group/$1"
    fi
}

update_limits() {
    sleeper updated --memory 64m --memory-swap 64m
    d update --memory 48m --memory-swap 48m updated >/dev/null
    is "$(limit memory.limit_in_bytes memory.max updated)" 50331648
    d update --pids-limit 44 updated >/dev/null
    is "$(limit pids.max pids.max updated)" 44
    d update --cpus 0.25 updated >/dev/null
    has "$(limit cpu.cfs_quota_us cpu.max updated)" 25000
    gone updated
}

execs() {
    sleeper execed --hostname inside
    is "$(d exec execed hostname)" inside
    is "$(echo in | d exec -i execed cat)" in
    is "$(d exec execed cat /proc/self/cgroup)" "$(d exec execed cat /proc/1/cgroup)"
    is "$(d exec -w /tmp -e C=3 execed sh -c 'pwd; echo $C')" $'/tmp\n3'
}

exec_codes() {
    code 44 d exec execed sh -c 'exit 44'
    code 137 d exec execed sh -c 'kill -9 $$'
}

exec_terminal() {
    has "$(script -qec 'stty rows 31 cols 71; timeout 30 docker exec -it execed sh -c "sleep 1; tty; stty size"' /dev/null)" '31 71'
}

exec_user() {
    is "$(d exec -u app execed id -un)" app
    is "$(d exec -u 5:6 execed id -g)" 6
}

exec_detached() {
    d exec -d execed sh -c 'echo x >/tmp/detached'
    soon d exec execed test -s /tmp/detached
}

exec_missing() {
    # Docker 20.10 tells only what can't be executed from all else.
    code 126 d exec execed /no/such/program || code 127 d exec execed /no/such/program
    code 126 d exec execed /etc/text
}

exec_privileged() {
    [ "$(d exec --privileged execed grep CapBnd /proc/self/status)" != "$(d exec execed grep CapBnd /proc/self/status)" ]
    gone execed
}

health() {
    sleeper healthy --health-cmd 'test ! -e /tmp/ill' --health-interval 1s --health-retries 1
    soon bash -c 'docker inspect -f "{{.State.Health.Status}}" healthy | grep -x healthy'
    d exec healthy touch /tmp/ill
    soon bash -c 'docker inspect -f "{{.State.Health.Status}}" healthy | grep -x unhealthy'
    gone healthy
}

read_only() { code 1 run --read-only box touch /file; }

tmpfs_option() { has "$(run --tmpfs /mine:size=1m,noexec box grep ' /mine ' /proc/mounts)" size=1024k; }

binds() {
    mkdir -p "$W/bound" && echo host >"$W/bound/file"
    is "$(run -v "$W/bound:/deep/bound" box cat /deep/bound/file)" host
    run -v "$W/bound:/bound" box touch /bound/new
    [ -e "$W/bound/new" ]
    code 1 run -v "$W/bound:/bound:ro" box touch /bound/x
    is "$(run -v "$W/bound/file:/etc/one:ro" box cat /etc/one)" host
    code 0 run -v "$W/bound:/bound:rslave" box true
}

volumes() {
    run -v vol:/data box sh -c 'echo kept >/data/file'
    is "$(run -v vol:/data:ro box cat /data/file)" kept
    d volume rm vol >/dev/null
}

capabilities() {
    is "$(run --cap-drop all box grep CapEff /proc/self/status | cut -f 2)" 0000000000000000
    is "$(run --cap-drop all --cap-add net_admin box grep CapEff /proc/self/status | cut -f 2)" 0000000000001000
    is "$(run -u app box grep CapEff /proc/self/status | cut -f 2)" 0000000000000000
}

no_new_privileges() { is "$(run --security-opt no-new-privileges box grep NoNewPrivs /proc/self/status | cut -f 2)" 1; }

seccomp_profiles() {
    is "$(run box grep ^Seccomp: /proc/self/status | cut -f 2)" 2
    is "$(run --security-opt seccomp=unconfined box grep ^Seccomp: /proc/self/status | cut -f 2)" 0
    echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$W/profile.json"
    has "$(code 1 run --security-opt "seccomp=$W/profile.json" box mkdir /tmp/x 2>&1)" 'not permitted'
}

masked_paths() {
    is "$(run box cat /proc/keys)" ''
    is "$(run box ls /sys/firmware)" ''
    code 1 run box sh -c 'echo 1 >/proc/sys/kernel/panic'
    [ -n "$(run --security-opt systempaths=unconfined box cat /proc/keys)" ]
}

privileged() {
    all_capabilities || skip "this machine has not all capabilities"
    is "$(run --privileged box grep CapEff /proc/self/status | cut -f 2)" "$(grep CapEff /proc/self/status | cut -f 2)"
    code 0 run --privileged box mount -t tmpfs tmpfs /tmp
}

devices() {
    has "$(run --device /dev/fuse box ls -l /dev/fuse)" '10, 229'
    code 0 run box mknod /tmp/kmsg c 1 11
    code 1 run box sh -c 'mknod /tmp/kmsg c 1 11; head -c 1 /tmp/kmsg'
    code 1 run --device /dev/fuse:/dev/mine:r box sh -c 'echo >/dev/mine'
}

sysctls() { is "$(run --sysctl net.ipv4.ip_forward=0 box cat /proc/sys/net/ipv4/ip_forward)" 0; }

ulimits() { is "$(run --ulimit nofile=111:222 box sh -c 'ulimit -Sn; ulimit -Hn')" $'111\n222'; }

shared_memory() { is "$(run --shm-size 3m box df -k /dev/shm | awk 'NR == 2 { print $2 }')" 3072; }

host_name() {
    is "$(run --hostname inside box hostname)" inside
    is "$(run --uts host box hostname)" clients
}

memory_limit() {
    sleeper limited --memory 64m
    is "$(limit memory.limit_in_bytes memory.max limited)" 67108864
    gone limited
}

cpu_limit() {
    sleeper limited --cpus 0.5
    has "$(limit cpu.cfs_quota_us cpu.max limited)" 50000
    gone limited
}

pids_limit() {
    sleeper limited --pids-limit 33
    is "$(limit pids.max pids.max limited)" 33
    gone limited
}

cpu_set() { is "$(run --cpuset-cpus 0 box grep Cpus_allowed_list /proc/self/status | cut -f 2)" 0; }

oom_score() { is "$(run --oom-score-adj 321 box cat /proc/self/oom_score_adj)" 321; }

out_of_memory() {
    code 137 d run --name hungry --memory 32m --memory-swap 32m box sh -c 'head -c 100000000 /dev/zero | tail'
    gone hungry
}

parent_group() {
    local parent=/own/parent
    [ "$CLIENTS_DRIVER" = cgroupfs ] || parent=/own.slice/own-parent.slice
    sleeper parented --cgroup-parent "${parent##*own.slice/}"
    has "$(cat "/proc/$(show '{{.State.Pid}}' parented)/cgroup")" "$parent/"
    gone parented
}

group_namespace() {
    local own
    own=$(run --cgroupns private box cat /proc/self/cgroup)
    has_not "$own" docker
}

network_none() { is "$(run --network none box ls /sys/class/net)" lo; }

network_host() { is "$(run --network host box readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"; }

network_bridge() {
    d run -d --name server box httpd -f -p 80 -h /etc >/dev/null
    local address
    address=$(show '{{.NetworkSettings.IPAddress}}' server)
    soon run box sh -c "printf 'GET /text HTTP/1.0\r\n\r\n' | nc -w 5 $address 80 | grep 'no program'"
    gone server
}

network_port() {
    d run -d --name web -p 127.0.0.1:8099:80 box httpd -f -p 80 -h /etc >/dev/null
    soon bash -c 'busybox wget -q -O - http://127.0.0.1:8099/text | grep "no program"'
    gone web
}

network_of_container() {
    sleeper first
    is "$(run --network container:first box readlink /proc/self/ns/net)" "$(d exec first readlink /proc/self/ns/net)"
    gone first
}

pid_host() {
    is "$(run --pid host box readlink /proc/self/ns/pid)" "$(readlink /proc/self/ns/pid)"
    sleeper hosted --pid host
    gone hosted
}

pid_of_container() {
    d run -d --name first box sleep 88 >/dev/null
    has "$(run --pid container:first box ps)" 'sleep 88'
    gone first
}

ipc_shared() {
    sleeper first --ipc shareable
    is "$(run --ipc container:first box readlink /proc/self/ns/ipc)" "$(d exec first readlink /proc/self/ns/ipc)"
    gone first
}

commit_and_copy() {
    sleeper source
    d exec source sh -c 'echo data >/home/file'
    d cp source:/home/file "$W/copied" >/dev/null
    is "$(cat "$W/copied")" data
    d commit source committed >/dev/null
    is "$(run committed cat /home/file)" data
    gone source
}

builds() {
    has "$(printf 'FROM box\nRUN echo made >/made\nUSER app\nRUN id -un; sed s/^/got-/ /made\n' | d build - 2>&1)" $'app\ngot-made'
    code 3 build_that_fails
}

build_that_fails() { printf 'FROM box\nRUN exit 3\n' | d build -; }

parallel() {
    local n pids=() bad=0
    for n in $(seq 10); do run box sh -c "exit $n" & pids+=($!); done
    for n in $(seq 10); do
        wait "${pids[n - 1]}" || [ $? = "$n" ] || { echo "run $n"; bad=1; }
    done
    is $bad 0
}

nothing_is_left() {
    much_was_there
    d rm -f $(d ps -aq) >/dev/null 2>&1 || true
    is "$(d ps -aq)" ''
    is "$(find /run/docker/runtime-* -mindepth 2 2>/dev/null | head -n 5)" ''
    is "$(find /sys/fs/cgroup -mindepth 3 -type d -path '*/docker/*' | grep -v buildkit | head -n 5)" ''
}

set_up "$1" || { echo "FAILED to set up"; tail -n 8 "$W/dockerd.log"; exit 1; }
run_cases "${CASES[@]}" nothing_is_left
kill "$DAEMON"
wait "$DAEMON"
report
