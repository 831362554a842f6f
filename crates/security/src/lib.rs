//! Capabilities, credentials, limits and labels of a container's processes.
