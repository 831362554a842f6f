# Checkpoints by CRIU, and what is left in the end.

CHECKPOINT=(checkpoint_restore)

checkpoint_restore() {
    criu check >/dev/null 2>&1 || skip "criu check: $(criu check 2>&1 | grep -i error | head -n 1)"
    p run -d --name saved --network none box sh -c 'n=0; while :; do n=$((n+1)); echo $n >/tmp/n; sleep 0.1; done' >/dev/null
    sleep 1
    p container checkpoint saved >/dev/null
    is "$(state_of saved)" exited
    p container restore saved >/dev/null
    is "$(state_of saved)" running
    [ "$(p exec saved cat /tmp/n)" -gt 3 ]
    gone saved
}

# All is taken back: containers, groups, mounts, files of state.
nothing_is_left() {
    much_was_there
    p rm -f -a -t 0 >/dev/null
    p pod rm -f -a -t 0 >/dev/null
    is "$(p ps -aq)" ''
    is "$(find /sys/fs/cgroup -type d -name '*libpod-*' | head -n 5)" ''
    is "$(find /run -path "$W" -prune -o -path "*/${RUNTIME##*/}/*" -print | head -n 5)" ''
}
