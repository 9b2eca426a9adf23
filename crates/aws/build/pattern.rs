//! From Java's regular expressions, which the models use, to the `regex` crate's.
//!
//! Java's `\w`, `\d` and `\s` are ASCII, its `.` stops at every line terminator, and it writes code points as `\uXXXX`.

/// The same language for the `regex` crate, anchored at both ends as AWS anchors it.
pub fn translate(java: &str) -> String {
    let mut result = String::from("^(?:");
    let mut letters = java.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => escape(&mut result, &mut letters, in_class, java),
            '[' if in_class => result.push_str("\\["),
            '[' => {
                in_class = true;
                result.push('[');
            }
            ']' => {
                in_class = false;
                result.push(']');
            }
            '.' if !in_class => result.push_str("[^\\n\\r\\x{85}\\x{2028}\\x{2029}]"),
            _ => result.push(letter),
        }
    }
    result.push_str(")$");
    result
}

fn escape(result: &mut String, letters: &mut std::str::Chars<'_>, in_class: bool, java: &str) {
    let (open, close) = if in_class { ("", "") } else { ("[", "]") };
    let class = match letters.next() {
        Some('d') => "0-9",
        Some('w') => "a-zA-Z0-9_",
        Some('s') => " \\t\\n\\x0B\\x0C\\r",
        Some('u') => {
            let code: String = letters.take(4).collect();
            return result.push_str(&format!("\\x{{{code}}}"));
        }
        Some(other) => {
            result.push('\\');
            return result.push(other);
        }
        None => panic!("{java} ends in a backslash"),
    };
    result.push_str(open);
    result.push_str(class);
    result.push_str(close);
}
