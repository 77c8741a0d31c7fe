//! Call classes: the unit of permission.
//!
//! An operator grants a VM some classes; bits 8 and up of a call's number are its class.

/// A group of calls that is granted or withheld as one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Class {
    /// The class's number: bits 8 and up of its call numbers, and its bit in a [`Classes`] set.
    pub index: u32,
    /// Its name in configuration files.
    pub name: &'static str,
}

/// A set of call classes: bit *n* is class *n*.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Classes(pub u64);

impl Classes {
    /// Every class this version defines.
    pub const ALL: Classes = Classes((1 << CLASSES.len()) - 1);
    /// Only [`CORE`], which cannot be withheld.
    pub const NONE: Classes = Classes(1);

    /// Whether a call with this number is granted. Class 0 always is.
    #[must_use]
    #[inline]
    pub const fn permits(self, number: u32) -> bool {
        let class = number >> 8;
        class == 0 || (class < 64 && self.0 & (1 << class) != 0)
    }

    /// This set and one class more.
    #[must_use]
    pub const fn with(self, class: Class) -> Classes {
        Classes(self.0 | 1 << class.index)
    }

    /// The classes of the set that this version defines, in order.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        CLASSES
            .iter()
            .copied()
            .filter(move |class| self.0 & (1 << class.index) != 0)
    }
}

impl core::fmt::Debug for Classes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|class| class.name))
            .finish()
    }
}

macro_rules! classes {
    ($($(#[$doc:meta])* $ident:ident = $index:literal, $name:literal;)+) => {
        $($(#[$doc])* pub const $ident: Class = Class { index: $index, name: $name };)+
        /// Every class, in order of index.
        pub const CLASSES: &[Class] = &[$($ident),+];
    };
}

classes! {
    /// Exit, panic, features: what no VM can do without. Always granted.
    CORE = 0, "core";
    /// The console's three streams.
    CONSOLE = 1, "console";
    /// Waiting and notifying.
    EVENT = 2, "event";
    /// Starting further vCPUs.
    VCPU = 3, "vcpu";
    /// Flushing address translations.
    MEMORY = 4, "memory";
    /// Random bytes.
    RANDOM = 5, "random";
    /// Exceptions reflected to the guest.
    FAULT = 6, "fault";
    /// Batch rings.
    BATCH = 7, "batch";
    /// Devices and their queues.
    DEVICE = 8, "device";
}
