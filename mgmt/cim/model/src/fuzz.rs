//! Entry points for fuzzers: each takes any bytes, must not panic, and checks that what was read is written
//! back to the same value. Driven by the unit tests below and by the fuzzing tool.

use crate::{CimType, DateTime, KeyValue, ObjectPath, Scalar, UriFormat};
use alloc::string::ToString;

/// Reads the bytes as a WBEM URI.
pub fn fuzz_uri(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let Ok(path) = text.parse::<ObjectPath>() else {
        return;
    };
    let again = path.to_uri(UriFormat::Standard).parse::<ObjectPath>();
    // A lone NaN key is equal to itself by total order, so equality holds for every value.
    assert_eq!(again, Ok(path), "a path must survive writing and reading");
}

/// Reads the bytes as a datetime.
pub fn fuzz_datetime(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(value) = text.parse::<DateTime>() {
        // The one text with two spellings is the zero offset.
        let text = text.replace("-000", "+000");
        assert_eq!(
            value.to_string(),
            text,
            "a datetime must be written as it was read"
        );
    }
}

/// Reads the bytes as a literal of every type.
pub fn fuzz_literal(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    for ty in CimType::ALL {
        let Ok(value) = Scalar::parse(ty, text) else {
            continue;
        };
        let again = Scalar::parse(ty, &value.to_string());
        let is_nan = value.as_f64().is_some_and(f64::is_nan);
        assert!(
            is_nan || again == Ok(value),
            "a literal must survive writing and reading"
        );
        assert!(
            KeyValue::parse_typed(ty, text).is_ok(),
            "every literal can be a key"
        );
    }
    let _ = KeyValue::parse_number(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A xorshift generator; deterministic, so a failure repeats.
    struct Random(u64);

    impl Random {
        fn next(&mut self, below: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % below as u64) as usize
        }
    }

    fn mutate(seeds: &[&str], alphabet: &[u8], rounds: usize, target: fn(&[u8])) {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let mut data = seeds[round % seeds.len()].as_bytes().to_vec();
            for _ in 0..random.next(4) {
                let at = random.next(data.len() + 1);
                let byte = alphabet[random.next(alphabet.len())];
                match random.next(3) {
                    0 if at < data.len() => data[at] = byte,
                    1 if at < data.len() => drop(data.remove(at)),
                    _ => data.insert(at, byte),
                }
            }
            target(&data);
        }
    }

    #[test]
    fn mutated_uris() {
        let seeds = [
            r#"//host:5989/root/cimv2:CIM_A.B="c\"d",E=5,F=TRUE,G='x'"#,
            r#"/root/cimv2:CIM_A.Ref="n:B.k=\"v\"""#,
            "root/cimv2:CIM_A",
            "https://h/n:C.x=1.5e3,y=-INF",
            "n:C.\"v\"",
        ];
        mutate(&seeds, b"/:.=,\"'\\@ aZ09-+eINFx\xc3\xa4", 20_000, fuzz_uri);
    }

    #[test]
    fn mutated_datetimes() {
        let seeds = [
            "20240229235959.123456+060",
            "00000001******.******:000",
            "2024**********.******-300",
        ];
        mutate(&seeds, b"0123456789*.:+- ", 20_000, fuzz_datetime);
    }

    #[test]
    fn mutated_literals() {
        let seeds = [
            "TRUE",
            "-128",
            "0xFF",
            "1.5e3",
            "-INF",
            "NaN",
            "ä",
            "18446744073709551615",
        ];
        mutate(
            &seeds,
            b"0123456789abcdefxX.+-eE INFTRU\xc3\xa4",
            20_000,
            fuzz_literal,
        );
    }
}
