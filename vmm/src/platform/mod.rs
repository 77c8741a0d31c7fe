//! What the host puts into guest memory before the guest runs.
//!
//! [`Layout`] decides where everything goes, from the image's plan and the configuration, as pure arithmetic; the
//! submodules write it. The address map itself is [`hypercall_abi::map`].

mod boot;
pub(crate) mod corner;
pub(crate) mod gate;
mod layout;
mod paging;

pub(crate) use boot::Boot;
pub(crate) use layout::Layout;
pub(crate) use paging::Access;
pub(crate) use paging::map_all;
