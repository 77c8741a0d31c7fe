//! What a call answers.

use core::fmt;

/// A call's status, in `eax` on return.
///
/// A guest must treat a value it does not know as an error.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)+) => {
        impl Status {
            $($(#[$doc])* pub const $name: Status = Status($value);)+

            /// Every status this version defines, in order of value.
            pub const ALL: &'static [Status] = &[$(Status::$name),+];

            /// The constant's name, or `None` for a value this version does not define.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($name)),)+ _ => None }
            }

            /// A short sentence for people, without a full stop.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self.0 { $($value => $text,)+ _ => "a status this ABI version does not define" }
            }
        }
    };
}

statuses! {
    /// The call did what it says; the result is the call's own.
    OK = 0, "done";
    /// Not now: repeat the same call. The result is an [`Again`].
    AGAIN = 1, "try again later";
    /// No call has this number on this host. Nothing was done.
    UNKNOWN_CALL = 2, "the host does not know this call";
    /// The operator has not granted this VM the call's class. Nothing was done.
    DENIED = 3, "the call's class is not granted to this VM";
    /// The call or a feature bit is defined but this host does not serve it.
    UNSUPPORTED = 4, "this host does not serve it";
    /// An argument has a value the call's table entry rules out. Nothing was done.
    BAD_ARGUMENT = 5, "an argument has an impossible value";
    /// A buffer is null, wraps, or does not lie wholly in RAM at or above `map::RAM_BASE`; an empty one may be anywhere. Nothing was done.
    BAD_ADDRESS = 6, "a buffer does not lie in the guest's memory";
    /// A length is above the call's limit. Nothing was done.
    TOO_LONG = 7, "a length is above the call's limit";
    /// What the call names is in use. Nothing was done.
    BUSY = 8, "already in use";
    /// What the call names does not exist on this VM. Nothing was done.
    NOT_FOUND = 9, "no such thing";
    /// The deadline passed before anything happened.
    TIMED_OUT = 10, "the deadline passed";
    /// The host's side of the operation failed: a full disk, a closed pipe. The result is the bytes done before it.
    IO = 11, "the host's side of the operation failed";
    /// The call acts on the vCPU itself and travels through the gate only. Nothing was done.
    TRAP_ONLY = 12, "the call travels through the gate only";
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Status({})", self.0),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

/// The result word of [`Status::AGAIN`]: which retry this is, and when it is worth making.
///
/// The guest repeats the call with the same arguments and `token` in the high half of `rax`
/// (see [`call`](crate::call)); a first attempt carries token 0. `hint_ns` is how long the host expects the
/// condition to last, 0 meaning "until an event": the call's table entry names the event bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Again {
    /// To be carried by the retry; never 0 from a host that uses tokens, 0 from one that does not.
    pub token: u32,
    /// Nanoseconds, saturating at about 4.3 s.
    pub hint_ns: u32,
}

impl Again {
    /// The result word: token in the high half, hint in the low half.
    #[must_use]
    pub const fn to_result(self) -> u64 {
        (self.token as u64) << 32 | self.hint_ns as u64
    }

    /// Reads a result word.
    #[must_use]
    pub const fn from_result(result: u64) -> Again {
        Again {
            token: (result >> 32) as u32,
            hint_ns: result as u32,
        }
    }
}
