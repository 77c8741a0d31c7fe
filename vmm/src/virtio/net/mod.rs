//! The network card (virtio 1.2, section 5.1).

mod backend;

pub(crate) use backend::{Backend, HEADER, LEAST_FRAME, MOST_FRAME, Sent};
