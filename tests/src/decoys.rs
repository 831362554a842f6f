//! A `/proc` that a process inside has made for those who join (LXC CVE-2015-1334). The scripts need `find` and `seq`.

/// Makes decoys of all that a runtime might write to or read of a process that joins, for whichever number it gets, and of settings; a trace of
/// each look at them stays.
pub const COVER: &str = "mount -t tmpfs -o strictatime none /proc && cd /proc && for dir in self thread-self $(seq 1 64); do \
    mkdir -p $dir/attr/apparmor $dir/attr/selinux $dir/fd $dir/ns && \
    for file in attr/exec attr/current attr/keycreate attr/sockcreate attr/fscreate attr/apparmor/exec attr/apparmor/current \
        attr/selinux/exec oom_score_adj oom_adj setgroups uid_map gid_map projid_map loginuid limits status stat cgroup mountinfo \
        timens_offsets coredump_filter comm sched fd/0 fd/1 fd/2 ns/mnt ns/pid ns/user; do echo decoy > $dir/$file; done; done && \
    mkdir -p sys/kernel sys/net/ipv4 sys/fs && for file in sys/kernel/msgmax sys/kernel/cap_last_cap sys/kernel/ns_last_pid \
        sys/net/ipv4/ip_forward filesystems mounts keys; do echo decoy > $file; done && \
    find . -type f -exec touch -d '2001-01-01 00:00:00' {} + && echo covered";

/// How many decoys there are, and which were read or written.
pub const TRACES: &str = "cd /proc; find . -type f | wc -l; find . -type f -exec stat -c '%n %X %Y %s' {} + | grep -v ' 978307200 978307200 6$'; true";
