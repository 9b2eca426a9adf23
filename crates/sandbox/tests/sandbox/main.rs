//! Sandboxes seen from inside and outside, with a program that tries to get out. Root only: every name begins with `privileged_`.

mod contained;
mod init;
mod limits;
mod network;
mod support;
mod teardown;
