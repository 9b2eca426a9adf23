//! Amounts as people write them.

/// Reads an amount of bytes: digits with an optional unit (`B`, `K`, `KiB`, `KB`, `M`, … `T`), all units powers of 1,024.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("`{unit}` is no unit; write for example 512MiB or 2GiB")),
    };
    let number: u64 = number.parse().map_err(|_| "write a whole number of bytes, or for example 512MiB".to_owned())?;
    number.checked_shl(shift).filter(|n| n >> shift == number).ok_or_else(|| "that is too much".to_owned())
}

/// Writes an amount of bytes with one decimal and a unit.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{amount:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, bytes) in
            [("0", 0), ("12", 12), ("1K", 1024), ("512MiB", 512 << 20), ("2 GB", 2 << 30), ("1TiB", 1 << 40)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "3 parsecs", "99999999999TiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(format_bytes(1023), "1023 B");
        assert_eq!(format_bytes(188 << 20), "188.0 MiB");
    }
}
