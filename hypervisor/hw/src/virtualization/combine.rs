//! What becomes of an exception while another one is being delivered.

/// What two exceptions in a row make (APM 2 8.2.9, SDM 3A table 6-5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Combined {
    /// They are delivered one after the other.
    Second,
    /// A double fault.
    DoubleFault,
    /// The machine would reset.
    TripleFault,
}

/// What `second` makes while `first` is being delivered.
pub fn combine(first: u8, second: u8) -> Combined {
    let contributory = |vector: u8| matches!(vector, 0 | 10..=13);
    match (first, second) {
        (8, second) if contributory(second) || second == 14 => Combined::TripleFault,
        (first, second) if contributory(first) && contributory(second) => Combined::DoubleFault,
        (14, second) if contributory(second) || second == 14 => Combined::DoubleFault,
        _ => Combined::Second,
    }
}

#[cfg(test)]
mod tests {
    use super::{Combined, combine};

    #[test]
    fn faults_combine_as_the_manual_says() {
        assert_eq!(combine(13, 13), Combined::DoubleFault);
        assert_eq!(combine(13, 14), Combined::Second);
        assert_eq!(combine(14, 14), Combined::DoubleFault);
        assert_eq!(combine(14, 13), Combined::DoubleFault);
        assert_eq!(combine(8, 13), Combined::TripleFault);
        assert_eq!(combine(8, 14), Combined::TripleFault);
        assert_eq!(combine(6, 13), Combined::Second);
        assert_eq!(combine(1, 14), Combined::Second);
    }
}
