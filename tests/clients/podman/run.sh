# Runs to their end.

RUN=(exit_codes arguments environment workdir user user_of_image init_reaps logs attached_output standard_input terminal terminal_size missing_program
    not_executable directory_as_program missing_workdir signal_as_code detached_wait_inspect attach parallel_runs host_name rootfs_option
    preserve_fds pid_file large_output closed_input read_only_fails)

exit_codes() {
    code 0 run box true
    code 1 run box false
    code 42 run box sh -c 'exit 42'
    code 125 run --no-such-option box true
}

arguments() {
    is "$(run box printf '%s|' 'a b' '' '$HOME' '"q"' $'new\nline')" $'a b||$HOME|"q"|new\nline|'
}

environment() {
    local out
    out=$(run -e A=1 -e 'B=two words' -e EMPTY= box env)
    has "$out" 'A=1'
    has "$out" 'B=two words'
    has "$out" $'EMPTY=\n'
    has "$out" 'container=podman'
}

workdir() {
    is "$(run -w /tmp box pwd)" /tmp
}

user() {
    is "$(run -u 1000:1000 box id -u)" 1000
    is "$(run -u app box id -un)" app
    is "$(run -u 77:88 box sh -c 'id -u; id -g')" $'77\n88'
    is "$(run -u app --group-add 555 box id -G)" '1000 555 1234'
    is "$(run -u app box sh -c 'echo $HOME')" /home/app
    code 126 run -u nobody-here box true || code 125 run -u nobody-here box true
}

user_of_image() {
    p import -q -c 'USER app' -c 'WORKDIR /home/app' -c 'ENTRYPOINT ["id"]' "$W/rootfs.tar" localhost/app >/dev/null
    is "$(run app -un)" app
    is "$(run --entrypoint pwd app)" /home/app
}

init_reaps() {
    has "$(run --init box cat /proc/1/comm)" podman-init
    code 9 run --init box sh -c 'exit 9'
}

logs() {
    p run --name logs box sh -c 'echo out; echo err >&2' 2>/dev/null
    has "$(p logs logs 2>&1)" out
    is "$(p logs logs 2>&1 >/dev/null)" err
    gone logs
}

attached_output() {
    is "$(run box sh -c 'echo out; echo err >&2' 2>/dev/null)" out
    is "$(run box sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
}

standard_input() {
    is "$(echo in | run -i box cat)" in
    is "$(run box cat)" ''
    is "$(head -c 3000000 /dev/zero | run -i box wc -c)" 3000000
}

terminal() {
    has "$(run -t box tty)" /dev/pts/0
    has "$(run -t box ls -l /dev/console)" 'crw'
    has "$(run -t box sh -c 'exec 3<>/dev/tty && echo controlled')" controlled
    has "$(run box tty || true)" 'not a tty'
}

terminal_size() {
    has "$(script -qec 'stty rows 33 cols 77; timeout 30 podman run --rm -it box sh -c "sleep 0.5; stty size"' /dev/null)" '33 77'
}

missing_program() {
    local out
    out=$(code 127 run box no-such-program 2>&1) || fail "$out"
    has "$out" no-such-program
    code 127 run box /no/such/program
}

not_executable() {
    code 0 run box true
    code 126 run box /etc/text
}

directory_as_program() {
    code 0 run box true
    code 126 run box /etc
}

missing_workdir() {
    is "$(run -w /etc box pwd)" /etc
    # podman makes the directory itself; below a file it can't be.
    code 126 run -w /etc/passwd/x box true || code 127 run -w /etc/passwd/x box true || code 125 run -w /etc/passwd/x box true
}

signal_as_code() {
    code 137 run box sh -c 'kill -9 $$' || code 0 run box sh -c 'kill -9 $$'
    code 143 run --init box sh -c 'kill -15 $$'
}

detached_wait_inspect() {
    local id
    id=$(p run -d --name detached box sh -c 'sleep 0.3; exit 5')
    is "${#id}" 64
    is "$(p wait detached)" 5
    is "$(p inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}} {{.OCIRuntime}}' detached)" "exited 5 0 ${RUNTIME##*/}"
    p start detached >/dev/null
    is "$(p wait detached)" 5
    gone detached
}

attach() {
    p run -d -i --name attach box sh -c 'read line; echo "got $line"; sleep 0.5; exit 3' >/dev/null
    has "$(echo word | code 3 p attach attach)" 'got word'
    gone attach
}

parallel_runs() {
    local n pids=() bad=0 pid
    for n in $(seq 20); do
        run box sh -c "exit $n" & pids+=($!)
    done
    n=0
    for pid in "${pids[@]}"; do
        n=$((n + 1))
        wait "$pid"; [ $? = $n ] || { echo "run $n"; bad=1; }
    done || true
    is $bad 0
}

host_name() {
    is "$(run --hostname inside box hostname)" inside
    is "$(run --uts host box hostname)" clients
}

rootfs_option() {
    is "$(run --rootfs "$W/rootfs" /bin/echo yes)" yes
    code 0 run --rootfs "$W/rootfs:O" /bin/touch /made
    [ ! -e "$W/rootfs/made" ]
}

preserve_fds() {
    is "$(echo three | run --preserve-fds 1 box sh -c 'cat <&3' 3<&0)" three
}

pid_file() {
    p run -d --name pidfile --pidfile "$W/pidfile" box sleep 60 >/dev/null
    is "$(cat "$W/pidfile")" "$(p inspect -f '{{.State.Pid}}' pidfile)"
    gone pidfile
}

large_output() { is "$(run box head -c 5000000 /dev/zero | wc -c)" 5000000; }

closed_input() { is "$(true | run -i box sh -c 'cat; echo end')" end; }

read_only_fails() { code 1 run --read-only --read-only-tmpfs=false box touch /file; }
