# What is done to a container from outside.

LIFE=(create_start pauses paused_is_killed stops kills restarts removes top_lists statistics list_shows commit_and_copy events_are_told removal_of_running)

create_start() {
    p create --name made box sh -c 'echo ran; exit 4' >/dev/null
    is "$(state_of made)" created
    p init made >/dev/null
    is "$(state_of made)" initialized
    has "$(code 4 p start -a made)" ran
    gone made
}

pauses() {
    sleeper paused
    p pause paused >/dev/null
    is "$(state_of paused)" paused
    code 255 p exec paused true || code 125 p exec paused true
    p unpause paused >/dev/null
    is "$(state_of paused)" running
    code 0 p exec paused true
}

paused_is_killed() {
    p pause paused >/dev/null
    gone paused
    code 1 p container exists paused
}

stops() {
    sleeper stopped
    p stop -t 10 stopped >/dev/null
    is "$(p inspect -f '{{.State.Status}} {{.State.ExitCode}}' stopped)" 'exited 7'
    gone stopped
    p run -d --name stubborn box sleep 100 >/dev/null
    p stop -t 1 stubborn >/dev/null 2>&1
    is "$(p inspect -f '{{.State.ExitCode}}' stubborn)" 137
    gone stubborn
}

kills() {
    p run -d --name killed box sh -c 'trap "echo usr1" USR1; trap "exit 8" HUP; while :; do sleep 0.1; done' >/dev/null
    sleep 0.5
    p kill -s USR1 killed >/dev/null
    soon bash -c 'podman logs killed | grep usr1'
    p kill -s SIGHUP killed >/dev/null
    is "$(p wait killed)" 8
    code 125 p kill killed
    gone killed
    sleeper killed
    p kill -s 9 killed >/dev/null
    is "$(p wait killed)" 137
    gone killed
}

restarts() {
    sleeper again
    local before
    before=$(p inspect -f '{{.State.Pid}}' again)
    p restart -t 1 again >/dev/null
    is "$(state_of again)" running
    [ "$before" != "$(p inspect -f '{{.State.Pid}}' again)" ]
    gone again
}

removes() {
    sleeper running
    code 2 p rm running
    gone running
    code 1 p container exists running
    # With a child that outlives everything polite.
    p run -d --name family box sh -c 'trap "" TERM HUP INT; (trap "" TERM HUP INT; sleep 100) & sleep 100' >/dev/null
    gone family
}

removal_of_running() {
    p run -d --rm --name auto box sleep 0.3 >/dev/null
    p wait auto >/dev/null 2>&1 || true
    soon bash -c '! podman container exists auto'
}

top_lists() {
    sleeper topped
    has "$(p top topped)" sleep
    has "$(p top topped pid user comm)" root
    gone topped
}

statistics() {
    sleeper counted
    has "$(p stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' counted)" 'counted 2'
    gone counted
}

list_shows() {
    sleeper listed
    has "$(p ps --format '{{.Names}} {{.Status}}')" 'listed Up'
    is "$(p inspect -f '{{.HostConfig.CgroupManager}}' listed)" "$CLIENTS_DRIVER"
    gone listed
}

commit_and_copy() {
    sleeper source
    p exec source sh -c 'echo data >/tmp/file'
    p cp source:/tmp/file "$W/copied"
    is "$(cat "$W/copied")" data
    p cp "$W/copied" source:/home/new
    is "$(p exec source cat /home/new)" data
    p commit -q source localhost/committed >/dev/null
    is "$(run committed cat /home/new)" data
    gone source
}

events_are_told() {
    has "$(p events --stream=false --filter event=died --since 10m)" died
}
