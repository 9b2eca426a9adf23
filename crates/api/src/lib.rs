//! The front doors: Lambda, STS, IAM and Bojagi's own paths, on one port.
