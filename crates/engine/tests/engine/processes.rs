//! Real processes as runtimes.
