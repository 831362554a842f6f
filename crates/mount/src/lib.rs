//! Mounts, devices and root filesystems of containers, by file descriptors only.
