//! Create and run Linux containers from any program, multi-threaded ones included.
