# Programs in a container that runs.

EXEC=(exec_codes exec_output exec_input exec_terminal exec_detached exec_environment exec_user exec_workdir exec_privileged exec_missing
    exec_not_executable exec_is_confined exec_parallel exec_leaves_a_child exec_in_ended health)

exec_codes() {
    sleeper execed --hostname inside
    code 0 p exec execed true
    code 1 p exec execed false
    code 44 p exec execed sh -c 'exit 44'
    code 137 p exec execed sh -c 'kill -9 $$'
}

exec_output() {
    is "$(p exec execed hostname)" inside
    is "$(p exec execed sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
    is "$(p exec execed head -c 1000000 /dev/zero | wc -c)" 1000000
}

exec_input() {
    is "$(echo in | p exec -i execed cat)" in
    is "$(p exec -i execed cat </dev/null)" ''
    is "$(head -c 300000 /dev/zero | p exec -i execed wc -c)" 300000
}

exec_terminal() {
    has "$(p exec -t execed tty)" /dev/pts/
    has "$(script -qec 'stty rows 31 cols 71; timeout 30 podman exec -it execed sh -c "sleep 0.5; stty size"' /dev/null)" '31 71'
}

exec_detached() {
    p exec -d execed sh -c 'echo done >/tmp/detached' >/dev/null
    soon p exec execed test -s /tmp/detached
}

exec_environment() {
    has "$(p exec -e C=3 execed env)" C=3
    has "$(p exec execed env)" PATH=/bin
}

exec_user() {
    is "$(p exec -u app execed id -un)" app
    is "$(p exec -u 5:6 execed sh -c 'id -u; id -g')" $'5\n6'
    is "$(p exec -u app execed id -G)" '1000 1234'
}

exec_workdir() { is "$(p exec -w /tmp execed pwd)" /tmp; }

exec_privileged() {
    local full
    full=$(p exec --privileged execed grep CapBnd /proc/self/status)
    [ "$full" != "$(p exec execed grep CapBnd /proc/self/status)" ]
}

exec_missing() {
    code 127 p exec execed no-such-program
    code 127 p exec execed /no/such/program
}

exec_not_executable() { code 126 p exec execed /etc/text; }

exec_is_confined() {
    local what
    some "$(p exec execed cat /proc/self/cgroup)"
    for what in Seccomp CapBnd NoNewPrivs; do
        is "$(p exec execed grep "^$what:" /proc/self/status)" "$(p exec execed grep "^$what:" /proc/1/status)"
    done
    is "$(p exec execed cat /proc/self/cgroup)" "$(p exec execed cat /proc/1/cgroup)"
}

exec_parallel() {
    local n pids=() bad=0
    for n in $(seq 10); do p exec execed sh -c "exit $n" & pids+=($!); done
    for n in $(seq 10); do
        wait "${pids[n - 1]}" || [ $? = "$n" ] || bad=1
    done
    is $bad 0
}

# What a program leaves behind does not keep exec: it holds no pipe of ours here.
exec_leaves_a_child() { code 6 p exec execed sh -c 'sleep 50 >/dev/null 2>&1 </dev/null & exit 6'; }

exec_in_ended() {
    gone execed
    p run --name ended box true
    code 255 p exec ended true || code 125 p exec ended true
    gone ended
}

health() {
    sleeper healthy --health-cmd 'test ! -e /tmp/ill' --health-interval disable
    code 0 p healthcheck run healthy
    p exec healthy touch /tmp/ill
    code 1 p healthcheck run healthy
    gone healthy
}
