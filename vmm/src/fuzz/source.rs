//! Where a target's choices come from.

/// Numbers from a seed, and how many steps are to be made of them.
pub(crate) struct Source {
    state: u64,
    steps: u32,
    taken: u32,
}

impl Source {
    /// The numbers of a seed, for this many steps.
    pub fn new(seed: u64, steps: u32) -> Source {
        Source {
            state: seed,
            steps,
            taken: 0,
        }
    }

    /// Whether there is another step to make.
    pub fn step(&mut self) -> bool {
        let goes_on = self.taken < self.steps;
        self.taken += u32::from(goes_on);
        goes_on
    }

    /// Steps made so far.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// Any number, each as likely as another (splitmix64).
    pub fn any(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below another, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.any() % end
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A number as the hostile choose it: small, large, near a power of two, or any.
    pub fn odd(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(9),
            1 => 0_u64.wrapping_sub(self.below(9)),
            2 => {
                let power = 1_u64 << self.below(64);
                power.wrapping_add(self.below(3)).wrapping_sub(1)
            }
            _ => self.any(),
        }
    }

    /// Somewhere in or about a range: its beginning, its end, between or beyond.
    pub fn near(&mut self, start: u64, end: u64) -> u64 {
        match self.below(6) {
            0 => start.wrapping_sub(self.below(65)),
            1 => end.wrapping_sub(self.below(129)),
            2 => self.odd(),
            3 => (start + self.below(end - start)) & !63,
            _ => start + self.below(end - start),
        }
    }

    /// Any bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.any() as u8).collect()
    }
}
