#!/usr/bin/env bash
# buildah with a runtime: buildah.sh RUNTIME. As root; CLIENTS_ONLY="NAME…" chooses cases.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/begin.sh" buildah "$@"

RUN=(runs codes missing_program not_executable output input terminal environment user workdir volumes mounts capabilities confined host_name namespaces
    network_none network_private run_twice large_output signalled)
BUILD=(builds stops_at_a_failed_step builds_with_arguments builds_as_user builds_in_stages builds_with_limits builds_with_mounts builds_with_shell_forms)

set_up() {
    RUNTIME=$W/bin/${1##*/}
    cp -L "$1" "$RUNTIME" && chmod 755 "$RUNTIME" && make_rootfs && configure || return 1
    b from --name box scratch >/dev/null && b add -q box "$W/rootfs.tar" / >/dev/null \
        && b config --cmd /bin/sh --env PATH=/bin box && b commit -q box localhost/box >/dev/null
}

configure() {
    mkdir -p /etc/containers
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
    : >/etc/containers/registries.conf
    printf '[engine]\ncgroup_manager = "cgroupfs"\n' >/etc/containers/containers.conf
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/storage"\nrunroot = "/run/containers/storage"\n' "$W" >/etc/containers/storage.conf
    export BUILDAH_RUNTIME=$RUNTIME BUILDAH_ISOLATION=oci
}

b() { timeout -k 5 "${CALL_LIMIT:-60}" buildah "$@"; }

# A program in the container, by options and its words.
r() { b run --runtime "$RUNTIME" "$@"; }

# Builds a Dockerfile given on standard input; more options are arguments.
build() {
    local dir=$W/context
    mkdir -p "$dir" && cat >"$dir/Dockerfile"
    b bud --runtime "$RUNTIME" --pull-never "$@" "$dir"
}

runs() { is "$(r box echo 'a b')" 'a b'; }

codes() {
    code 0 r box true
    code 1 r box false
    code 42 r box sh -c 'exit 42'
}

missing_program() {
    local got=0 out
    code 0 r box true
    out=$(r box /no/such/program 2>&1) || got=$?
    [ $got != 0 ]
    has "$out" /no/such/program
}

not_executable() {
    local got=0
    code 0 r box true
    r box /etc/text || got=$?
    [ $got != 0 ]
}

output() {
    is "$(r box sh -c 'echo out; echo err >&2' 2>/dev/null)" out
    is "$(r box sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
}

input() { is "$(echo in | r box cat)" in; }

terminal() { has "$(script -qec "timeout 30 buildah run --runtime $RUNTIME -t box tty" /dev/null)" /dev/pts/0; }

environment() { is "$(r -e A=1 box sh -c 'echo $A')" 1; }

user() {
    is "$(r --user app box id -un)" app
    is "$(r --user 7:8 box sh -c 'id -u; id -g')" $'7\n8'
}

workdir() { is "$(r --workingdir /tmp box pwd)" /tmp; }

volumes() {
    mkdir -p "$W/bound" && echo host >"$W/bound/file"
    is "$(r -v "$W/bound:/bound:ro" box cat /bound/file)" host
    code 1 r -v "$W/bound:/bound:ro" box touch /bound/x
}

mounts() { has "$(r --mount type=tmpfs,destination=/t box grep ' /t ' /proc/mounts)" tmpfs; }

capabilities() { is "$(r --cap-drop all box grep CapEff /proc/self/status | cut -f 2)" 0000000000000000; }

confined() { is "$(r box grep ^Seccomp: /proc/self/status | cut -f 2)" 2; }

host_name() { is "$(r --hostname inside box hostname)" inside; }

namespaces() {
    local kind
    is "$(r --ipc host box readlink /proc/self/ns/ipc)" "$(readlink /proc/self/ns/ipc)"
    for kind in pid ipc uts mnt; do
        [ "$(r box readlink "/proc/self/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ]
    done
}

network_none() { is "$(r --network none box ls /sys/class/net)" lo; }

network_private() { has "$(r --network private box ip -o addr)" eth0; }

run_twice() {
    r box sh -c 'echo kept >/tmp/kept'
    is "$(r box cat /tmp/kept)" kept
}

large_output() { is "$(r box head -c 3000000 /dev/zero | wc -c)" 3000000; }

# What it says of a signal differs from release to release; it must not be a success.
signalled() {
    local got=0
    code 0 r box true
    r box sh -c '(sleep 0.3; kill -9 1) & kill -9 $$; sleep 5; exit 3' || got=$?
    [ $got != 0 ]
}

builds() {
    build -q -t built >/dev/null <<'END'
FROM localhost/box
RUN echo one >/file && chmod 600 /file
RUN cat /file && id -u >>/file
COPY Dockerfile /copied
CMD ["cat", "/file"]
END
    b from --name built built >/dev/null
    is "$(r built cat /file)" $'one\n0'
    b rm built >/dev/null
}

stops_at_a_failed_step() {
    local got=0 out
    out=$(printf 'FROM localhost/box\nRUN echo before; exit 3\nRUN echo behind\n' | build 2>&1) || got=$?
    [ $got != 0 ]
    has "$out" before
    has_not "$out" behind-
    has "$out" 'exit status 3'
}

builds_with_arguments() {
    has "$(printf 'FROM localhost/box\nARG WORD\nENV E=$WORD\nRUN echo "word $E"\n' | build --build-arg WORD=given)" 'word given'
}

builds_as_user() {
    has "$(printf 'FROM localhost/box\nUSER app\nWORKDIR /home/app/new\nRUN id -un; pwd\n' | build)" $'app\n/home/app/new'
}

builds_in_stages() {
    local out
    out=$(printf 'FROM localhost/box AS first\nRUN echo made >/made\nFROM localhost/box\nCOPY --from=first /made /got\nRUN sed s/^/got-/ /got\n' | build)
    has "$out" got-made
}

builds_with_limits() {
    has "$(printf 'FROM localhost/box\nRUN ulimit -n\n' | build --ulimit nofile=123:123 --memory 64m)" 123
}

builds_with_mounts() {
    has "$(printf 'FROM localhost/box\nRUN --mount=type=tmpfs,target=/t grep " /t " /proc/mounts\n' | build)" 'tmpfs /t'
    has "$(printf 'FROM localhost/box\nRUN cat /v/file\n' | build -v "$W/bound:/v:ro")" host
}

builds_with_shell_forms() {
    has "$(printf 'FROM localhost/box\nRUN ["/bin/echo", "exec form"]\nSHELL ["/bin/sh", "-e", "-c"]\nRUN echo "shell form"\n' | build)" 'shell form'
}

nothing_is_left() {
    much_was_there
    is "$(find /sys/fs/cgroup -type d -name '*buildah*' | head -n 5)" ''
    is "$(find /run -path "$W" -prune -o -path "*/${RUNTIME##*/}/*" -print | head -n 5)" ''
}

set_up "$1" || { echo "FAILED to set up"; exit 1; }
run_cases "${RUN[@]}" "${BUILD[@]}" nothing_is_left
report
