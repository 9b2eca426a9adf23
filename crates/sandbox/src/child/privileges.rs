//! Giving up privileges, for good.

use rustix::fs::{Gid, Uid};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use crate::sys;
use crate::wire::{Failure, Step};

/// Becomes this user and group of the process's user namespace, without any capability and without a way to get one.
pub(super) fn drop_to(user: u32, group: u32) -> Result<(), Failure> {
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(bits).step("lock capabilities")?;
    sys::drop_bounding_set().step("drop the capability bounding set")?;
    rustix::thread::clear_ambient_capability_set().step("drop ambient capabilities")?;
    rustix::thread::set_thread_groups(&[]).step("leave all groups")?;
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    rustix::thread::set_thread_res_gid(group, group, group).step("change the group")?;
    rustix::thread::set_thread_res_uid(user, user, user).step("change the user")?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .step("drop capabilities")
}
