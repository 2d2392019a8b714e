//! Makes an input smaller while it still does what it does.

use std::time::Instant;

/// The smallest input found, until `end`, for which `still` holds; it holds for `data`.
pub fn minimise(data: &[u8], end: Instant, mut still: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = data.to_vec();
    let mut piece = best.len().div_ceil(2);
    while piece > 0 && Instant::now() < end {
        let mut at = 0;
        let mut shorter = false;
        while at < best.len() && Instant::now() < end {
            let mut trial = best.clone();
            trial.drain(at..(at + piece).min(best.len()));
            if still(&trial) {
                best = trial;
                shorter = true;
            } else {
                at += piece;
            }
        }
        // At the end, single bytes are tried until none can go.
        if piece > 1 || !shorter {
            piece /= 2;
        }
    }
    // What remains is needed, but perhaps not as it is.
    for at in 0..best.len() {
        if Instant::now() >= end {
            break;
        }
        let mut trial = best.clone();
        if let Some(byte) = trial.get_mut(at).filter(|byte| **byte != b'a') {
            *byte = b'a';
            if still(&trial) {
                best = trial;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn only_what_is_needed_remains() {
        let data = b"some <long> text with < two brackets".to_vec();
        let both = |trial: &[u8]| trial.iter().filter(|byte| **byte == b'<').count() == 2;
        assert_eq!(minimise(&data, soon(), both), b"<<");
        assert_eq!(minimise(&data, soon(), |trial| trial.len() >= 3), b"aaa");
        assert_eq!(minimise(&data, soon(), |_| true), b"");
    }

    #[test]
    fn without_time_the_input_stays() {
        assert_eq!(minimise(b"abc", Instant::now(), |_| true), b"abc");
    }
}
