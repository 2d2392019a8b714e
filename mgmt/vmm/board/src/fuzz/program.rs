//! [`Program`]: the fuzzer's bytes, taken from the front.

/// Bytes to take; zeros behind their end.
pub(super) struct Program<'a> {
    rest: &'a [u8],
}

impl<'a> Program<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn word16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub fn word32(&mut self) -> u32 {
        u32::from(self.word16()) | u32::from(self.word16()) << 16
    }

    pub fn word64(&mut self) -> u64 {
        u64::from(self.word32()) | u64::from(self.word32()) << 32
    }

    pub fn choose<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let index = usize::from(self.byte());
        from.get(index % from.len()).copied().unwrap_or_default()
    }

    pub fn choose_by(&self, index: u8, from: &[crate::Width; 4]) -> crate::Width {
        let [first, ..] = *from;
        from.get(usize::from(index % 4)).copied().unwrap_or(first)
    }
}
