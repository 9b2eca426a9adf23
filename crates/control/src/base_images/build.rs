//! One build, from nothing to an image under its name.
