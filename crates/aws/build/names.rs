//! Rust names for AWS's.

/// `VPCConfig` → `vpc_config`, `S3ObjectVersion` → `s3_object_version`, `Type` → `r#type`.
pub fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut result = String::new();
    for (index, &letter) in letters.iter().enumerate() {
        let previous = index.checked_sub(1).map(|index| letters[index]);
        let next = letters.get(index + 1);
        let starts_word = previous
            .is_some_and(|previous| !previous.is_ascii_uppercase() || next.is_some_and(char::is_ascii_lowercase));
        if letter.is_ascii_uppercase() && starts_word {
            result.push('_');
        }
        result.push(letter.to_ascii_lowercase());
    }
    if matches!(result.as_str(), "type" | "match" | "in" | "self" | "use" | "ref") {
        format!("r#{result}")
    } else {
        result
    }
}

/// A static's name for a shape: `FunctionName` → `FUNCTION_NAME`; `dateType` → `DATE_TYPE`.
pub fn constant_case(name: &str) -> String {
    snake_case(name).trim_start_matches("r#").to_ascii_uppercase()
}

/// The member as messages spell it: only the first letter is lower case, `KMSKeyArn` → `kMSKeyArn`.
pub fn message_case(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
